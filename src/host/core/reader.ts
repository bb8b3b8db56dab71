const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads the payload encoding of native/include/vigil.h. Anything missing is a RangeError; end() refuses anything left over. */
export class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(payload: Uint8Array) {
    this.#buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#buffer.length - at)
      throw new RangeError(`payload ends at ${this.#buffer.length}, wanted ${at + bytes}`);
    this.#at = at + bytes;
    return at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new RangeError(`${value} is not a bool`);
    return value === 1;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#buffer.readInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }

  /** A view into the payload: copy it to keep it. */
  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  str(): string {
    return utf8.decode(this.bytes());
  }

  /** Text written by the kernel or by a process that names itself: not always UTF-8, never a reason to refuse a fact. */
  text(): string {
    return Buffer.from(this.bytes()).toString("utf8");
  }

  list<T>(get: (reader: this) => T): T[] {
    const count = this.u32();
    // Every item takes at least a byte, so a wild count cannot make us allocate.
    if (count > this.#buffer.length - this.#at)
      throw new RangeError(`${count} items in ${this.#buffer.length - this.#at} bytes`);
    return Array.from({ length: count }, () => get(this));
  }

  end(): void {
    if (this.#at !== this.#buffer.length)
      throw new RangeError(`${this.#buffer.length - this.#at} bytes after the payload`);
  }
}
