/**
 * A run's numbers as an event file that TensorBoard reads, appended as the run goes.
 *
 * Under run_log.ts. Sources: TensorFlow's TFRecord framing (lib/io/record_writer.h), event.proto and summary.proto; CRC32C
 * is RFC 3720, appendix B.4.
 */
import { secondsNow } from "./metrics.ts";

/** Ends the names of our files, where TensorFlow writes the machine's name. */
const SUFFIX = ".nanovlm";
const PREFIX = "events.out.tfevents.";

/** The reflected polynomial of Castagnoli. */
const POLYNOMIAL = 0x82f63b78;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The CRC32C checksum. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** As TFRecord stores checksums: rotated, so that a checksum of data with checksums in it stays useful. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** One record: length, its checksum, content, its checksum. */
function framed(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + content.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(content.length), true);
  view.setUint32(8, masked(crc32c(bytes.subarray(0, 8))), true);
  bytes.set(content, 12);
  view.setUint32(12 + content.length, masked(crc32c(content)), true);
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

/** A protobuf field that holds text or a message. */
function chunk(field: number, content: ArrayLike<number> & Iterable<number>): number[] {
  return [...varint(field * 8 + 2), ...varint(content.length), ...content];
}

function text(field: number, value: string): number[] {
  return chunk(field, new TextEncoder().encode(value));
}

function whole(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

function double(field: number, value: number): number[] {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, value, true);
  return [...varint(field * 8 + 1), ...new Uint8Array(bytes.buffer)];
}

function float(field: number, value: number): number[] {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setFloat32(0, value, true);
  return [...varint(field * 8 + 5), ...new Uint8Array(bytes.buffer)];
}

/** An event: when, after which step, and what, as a field of event.proto's Event. */
function event(time: number, step: number, what: readonly number[]): Uint8Array {
  return framed(
    Uint8Array.from([...double(1, time), ...(step > 0 ? whole(2, step) : []), ...what]),
  );
}

/** The record that an event file opens with. @param time seconds since 1970 */
export function versionEvent(time: number): Uint8Array {
  return event(time, 0, text(3, "brain.Event:2"));
}

/** Tells TensorBoard to forget what earlier files say of `step` and later ones. */
export function restartEvent(time: number, step: number): Uint8Array {
  return event(time, step, chunk(7, whole(1, 1)));
}

/** Numbers by name, after a step. @param time seconds since 1970 */
export function scalarsEvent(
  time: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const values = Object.entries(scalars).flatMap(([name, value]) =>
    chunk(1, [...text(1, name), ...float(2, value)])
  );
  return event(time, step, chunk(5, values));
}

/** An open event file. Close it, or declare it with `using`. */
export class EventFile implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Starts a file in a folder.
   *
   * @param resumedAfter the step that the run goes on after; absent for a new run, in whose favour the event files of an
   * earlier one in the folder are removed
   * @throws {Error} where it cannot be written
   */
  static open(folder: string, resumedAfter?: number): EventFile {
    if (resumedAfter === undefined) removeEventFiles(folder);
    // TensorBoard reads the files in the order of their names, whatever the clock said at the last start.
    const time = Math.max(secondsNow(), ...eventFiles(folder).map(({ time }) => time + 0.001));
    const path = `${folder}/${PREFIX}${time.toFixed(3)}${SUFFIX}`;
    const events = new EventFile(Deno.openSync(path, { write: true, create: true, append: true }));
    events.#append(versionEvent(time));
    if (resumedAfter !== undefined) events.#append(restartEvent(time, resumedAfter + 1));
    return events;
  }

  /** Appends numbers by name. @param time seconds since 1970 */
  write(time: number, step: number, scalars: Readonly<Record<string, number>>): void {
    this.#append(scalarsEvent(time, step, scalars));
  }

  #append(bytes: Uint8Array): void {
    while (bytes.length > 0) bytes = bytes.subarray(this.#file.writeSync(bytes));
  }

  /** Ends the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function removeEventFiles(folder: string): void {
  for (const { name } of eventFiles(folder)) Deno.removeSync(`${folder}/${name}`);
}

/** The event files of this project in a folder, and the times in their names. */
function eventFiles(folder: string): { name: string; time: number }[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name }) =>
    name.startsWith(PREFIX) && name.endsWith(SUFFIX)
      ? [{ name, time: Number(name.slice(PREFIX.length, -SUFFIX.length)) || 0 }]
      : []
  );
}
