/** Tests that a file is called what it is, whatever its name says. */
import { assertEquals } from "@std/assert";
import { whatIs } from "../../data/file_kind.ts";

const KINDS: readonly (readonly [string, string])[] = [
  ["", "an empty file"],
  ["version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer to a file in Git LFS"],
  ["<!DOCTYPE html><html>", "an HTML page"],
  ["\ufeff\n<html lang=en>", "an HTML page"],
  ["<!-- saved page -->\n<html>", "an HTML page"],
  ['<?xml version="1.0"?><svg width="1">', "an SVG file"],
  ['{"question": 1}', "a text file"],
  ["PAR1\x15\x04", "a Parquet file"],
  ["ARROW1\0\0", "an Arrow file"],
  ["PK\x03\x04", "a ZIP archive"],
  ["II*\0\x08", "a TIFF file"],
  ["\x01\x02", "an unknown file that begins with the bytes 01 02"],
];

for (const [start, kind] of KINDS) {
  Deno.test(`whatIs() recognizes ${kind} that begins with ${JSON.stringify(start.slice(0, 20))}`, () => {
    assertEquals(whatIs(new TextEncoder().encode(start)), kind);
  });
}
