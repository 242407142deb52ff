/**
 * Ways to break a picture file, of any kind or of one, all decided by a seed: for tests that
 * nothing worse comes of it than an error.
 */
import { crc32 } from "node:zlib";
import type { Random } from "../../data/random.ts";

/** A piece of a file: a chunk, segment or block, from its first byte on. */
interface Piece {
  start: number;
  end: number;
}

type Breakage = (bytes: Uint8Array, random: Random) => Uint8Array;

/** A kind of picture file as far as breaking it goes. */
export interface Structure {
  /** The file in pieces, the signature first. */
  pieces(bytes: Uint8Array): Piece[];
  /** Where 16- or 32-bit widths, heights and lengths are written. */
  numbers(bytes: Uint8Array): { at: number; bytes: 2 | 3 | 4; littleEndian: boolean }[];
  /** Repairs what would give the damage away at once, such as checksums. */
  repair(bytes: Uint8Array): Uint8Array;
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A range of at most `most` bytes behind the signature. */
function range(bytes: Uint8Array, random: Random, most: number): Piece {
  const start = 8 + random.below(bytes.length - 8);
  return { start, end: Math.min(bytes.length, start + 1 + random.below(most)) };
}

function noise(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** Breakages that know nothing of the file. */
const BLIND: Record<string, Breakage> = {
  "bits flipped": (bytes, random) => {
    const copy = bytes.slice();
    const flips = 1 + random.below(8);
    for (let i = 0; i < flips; i++) copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  },
  "cut short": (bytes, random) => bytes.slice(0, random.below(bytes.length)),
  "zeros written": (bytes, random) => {
    const { start, end } = range(bytes, random, 200);
    return bytes.slice().fill(0, start, end);
  },
  "bytes inserted": (bytes, random) => {
    const { start } = range(bytes, random, 1);
    const inserted = noise(1 + random.below(40), random);
    return concat(bytes.slice(0, start), inserted, bytes.slice(start));
  },
  "bytes removed": (bytes, random) => {
    const { start, end } = range(bytes, random, 40);
    return concat(bytes.slice(0, start), bytes.slice(end));
  },
  "blocks swapped": (bytes, random) => {
    const length = 1 + random.below(Math.max(1, (bytes.length - 8) >> 2));
    const first = 8 + random.below(bytes.length - 8 - 2 * length + 1);
    const second = first + length + random.below(bytes.length - first - 2 * length + 1);
    const copy = bytes.slice();
    copy.set(bytes.subarray(first, first + length), second);
    copy.set(bytes.subarray(second, second + length), first);
    return copy;
  },
};

/** Breakages that know where pieces and numbers are. */
const INFORMED: Record<string, (structure: Structure) => Breakage> = {
  "pieces lost, doubled or moved": ({ pieces }) => (bytes, random) => {
    const [signature, ...rest] = pieces(bytes).map(({ start, end }) => bytes.slice(start, end));
    const from = random.below(rest.length);
    const [taken] = rest.splice(from, 1);
    const action = random.below(3);
    if (action > 0) rest.splice(random.below(rest.length + 1), 0, taken!);
    if (action > 1) rest.splice(from, 0, taken!);
    return concat(signature!, ...rest);
  },
  "a size or length lying": ({ numbers }) => (bytes, random) => {
    const copy = bytes.slice();
    const all = numbers(copy);
    const { at, bytes: width, littleEndian } = all[random.below(all.length)]!;
    const most = 2 ** (8 * width) - 1;
    const choices = [0, 1, most, most >> 1, 1000, 16383, random.below(300)];
    const value = choices[random.below(choices.length)]!;
    for (let i = 0; i < width; i++) {
      copy[at + (littleEndian ? i : width - 1 - i)] = value / 256 ** i;
    }
    return copy;
  },
};

/** The names of all breakages. */
export const BREAKAGES: readonly string[] = [...Object.keys(BLIND), ...Object.keys(INFORMED)];

/** Breaks a file in one of the ways, in every other case so that its checksums still fit. */
export function breakFile(
  bytes: Uint8Array,
  structure: Structure,
  options: { how: string; random: Random },
): Uint8Array {
  const { how, random } = options;
  const breakage = BLIND[how] ?? INFORMED[how]!(structure);
  const broken = breakage(bytes, random);
  return random.below(2) === 0 ? broken : structure.repair(broken);
}

function riffPieces(bytes: Uint8Array): Piece[] {
  const pieces = [{ start: 0, end: 12 }];
  for (let at = 12; at + 8 <= bytes.length;) {
    const end = Math.min(bytes.length, at + 8 + view(bytes).getUint32(at + 4, true));
    pieces.push({ start: at, end: end + (end & 1) });
    at = end + (end & 1);
  }
  return pieces;
}

function pngPieces(bytes: Uint8Array): Piece[] {
  const pieces = [{ start: 0, end: 8 }];
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = Math.min(bytes.length, at + 12 + view(bytes).getUint32(at));
    pieces.push({ start: at, end });
    at = end;
  }
  return pieces;
}

/** Segments up to the first scan, which is one piece with all that follows. */
function jpegPieces(bytes: Uint8Array): Piece[] {
  const pieces = [{ start: 0, end: 2 }];
  let at = 2;
  while (at + 4 < bytes.length && bytes[at + 1] !== 0xda) {
    const end = at + 2 + view(bytes).getUint16(at + 2);
    pieces.push({ start: at, end });
    at = end;
  }
  pieces.push({ start: at, end: bytes.length });
  return pieces;
}

/** Header with palette, extensions, and the rest from the first frame on. */
function gifPieces(bytes: Uint8Array): Piece[] {
  const flags = bytes[10]!;
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  const pieces = [{ start: 0, end: 13 }];
  if (at > 13) pieces.push({ start: 13, end: at });
  while (bytes[at] === 0x21) {
    let end = at + 2;
    while (bytes[end]) end += 1 + bytes[end]!;
    pieces.push({ start: at, end: end + 1 });
    at = end + 1;
  }
  pieces.push({ start: at, end: Math.min(bytes.length, at + 10) });
  if (at + 10 < bytes.length) pieces.push({ start: at + 10, end: bytes.length });
  return pieces;
}

/** How each kind of file is made up. */
export const STRUCTURES: Readonly<Record<"PNG" | "JPEG" | "WebP" | "GIF", Structure>> = {
  PNG: {
    pieces: pngPieces,
    numbers: (bytes) => [
      { at: 16, bytes: 4, littleEndian: false },
      { at: 20, bytes: 4, littleEndian: false },
      ...pngPieces(bytes).slice(1).map(({ start }) => ({
        at: start,
        bytes: 4 as const,
        littleEndian: false,
      })),
    ],
    repair(bytes) {
      const copy = bytes.slice();
      for (const { start, end } of pngPieces(copy).slice(1)) {
        view(copy).setUint32(
          end - 4,
          crc32(copy.subarray(start + 4, Math.max(start + 4, end - 4))),
        );
      }
      return copy;
    },
  },
  JPEG: {
    pieces: jpegPieces,
    numbers: (bytes) =>
      jpegPieces(bytes).slice(1).flatMap(({ start }) => [
        { at: start + 2, bytes: 2 as const, littleEndian: false },
        ...((bytes[start + 1]! & 0xfc) === 0xc0
          ? [5, 7].map((at) => ({ at: start + at, bytes: 2 as const, littleEndian: false }))
          : []),
      ]),
    repair: (bytes) => bytes,
  },
  WebP: {
    pieces: riffPieces,
    numbers: (bytes) => [
      { at: 4, bytes: 4, littleEndian: true },
      ...riffPieces(bytes).slice(1).flatMap(({ start }) => [
        { at: start + 4, bytes: 4 as const, littleEndian: true },
        { at: start + 12, bytes: 3 as const, littleEndian: true },
        { at: start + 14, bytes: 2 as const, littleEndian: true },
      ]).filter(({ at, bytes: width }) => at + width <= bytes.length),
    ],
    repair(bytes) {
      const copy = bytes.slice();
      if (copy.length >= 12) view(copy).setUint32(4, copy.length - 8, true);
      return copy;
    },
  },
  GIF: {
    pieces: gifPieces,
    numbers: (bytes) => {
      const frame = gifPieces(bytes).find(({ start }) => bytes[start] === 0x2c)?.start ?? 0;
      return [6, 8, frame + 1, frame + 3, frame + 5, frame + 7]
        .map((at) => ({ at, bytes: 2, littleEndian: true }));
    },
    repair: (bytes) => bytes,
  },
};
