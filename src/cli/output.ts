import { bold, cyan, dim, green, red, yellow } from "yoctocolors";

/** What goes to the terminal: tables and colours for people, JSON for programs. */

const colours = { bold, cyan, dim, green, red, yellow };

/** Colour only for a terminal; yoctocolors itself honours NO_COLOR, FORCE_COLOR and TERM=dumb but not where output goes. */
export function paint(colour: keyof typeof colours, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return stream.isTTY ? colours[colour](text) : text;
}

/** Text from a container or its records, which must not steer the reader's terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** 64-bit numbers are strings, as in protobuf's JSON form. */
export function toJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? item.toString() : item), indent);
}

export function printJson(value: unknown, indent = 0): void {
  print(toJson(value, indent));
}

/** Columns as wide as their widest cell, no lines; an empty table is only its header. */
export async function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  return formatColumns([header.map((name) => paint("bold", name)), ...rows]);
}

export async function formatColumns(rows: readonly (readonly string[])[]): Promise<string> {
  const { getBorderCharacters, table } = await import("table");
  const cells = rows.map((row) => [...row]);
  const text = table(cells, {
    border: getBorderCharacters("void"),
    columnDefault: { paddingLeft: 0, paddingRight: 3 },
    drawHorizontalLine: () => false,
  });
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

export async function printTable(header: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  print(await formatTable(header, rows));
}
