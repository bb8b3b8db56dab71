import { VigilError } from "../../base/errors.js";

const firstRoom = 512;

/** Writes the payload encoding of native/include/vigil.h: little endian, packed, lengths and counts as u32. */
export class Writer {
  #buffer = Buffer.allocUnsafe(firstRoom);
  #size = 0;

  u8(value: number): this {
    this.#size = this.#reserve(1).writeUInt8(value, this.#size);
    return this;
  }

  u16(value: number): this {
    this.#size = this.#reserve(2).writeUInt16LE(value, this.#size);
    return this;
  }

  u32(value: number): this {
    this.#size = this.#reserve(4).writeUInt32LE(value, this.#size);
    return this;
  }

  i32(value: number): this {
    this.#size = this.#reserve(4).writeInt32LE(value, this.#size);
    return this;
  }

  u64(value: bigint): this {
    this.#size = this.#reserve(8).writeBigUInt64LE(value, this.#size);
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** A length and UTF-8. The core's strings end at a zero byte, so one inside would cut the string short. */
  str(value: string): this {
    if (value.includes("\0")) {
      throw new VigilError("invalid_argument", `${JSON.stringify(value)}: a string with a zero byte in it`);
    }
    const length = Buffer.byteLength(value);
    this.u32(length).#reserve(length).write(value, this.#size);
    this.#size += length;
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.u32(value.byteLength).raw(value);
  }

  raw(value: Uint8Array): this {
    this.#reserve(value.byteLength).set(value, this.#size);
    this.#size += value.byteLength;
    return this;
  }

  list<T>(items: readonly T[], each: (writer: this, item: T) => void): this {
    this.u32(items.length);
    for (const item of items) each(this, item);
    return this;
  }

  strs(items: readonly string[]): this {
    return this.list(items, (writer, item) => writer.str(item));
  }

  /** What was written; the writer must not be used any more. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  #reserve(room: number): Buffer {
    const needed = this.#size + room;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#size);
      this.#buffer = grown;
    }
    return this.#buffer;
  }
}
