// Tests of data/bad_rows.ts: what is said of rows that cannot be read.
import { assertEquals } from "@std/assert";
import { reasonAt } from "../../data/bad_rows.ts";

Deno.test("reasonAt() leaves out what the place says already", () => {
  const place = 'a/b (c), row 8 (line 9 of "a/b (c)/d.csv")';
  for (
    const [message, expected] of [
      [
        'Cannot read line 9 of "a/b (c)/d.csv": found 5 values, expected 3',
        "found 5 values, expected 3",
      ],
      ['Cannot decode image "a/b (c), row 8": found a text file', "found a text file"],
      [
        'Cannot decode image "a/b (c), row 8, e.png": found a text file',
        'Cannot decode image "e.png": found a text file',
      ],
      [
        'Cannot read picture "e.png": found no such file',
        'Cannot read picture "e.png": found no such file',
      ],
      ['Cannot read line 7 of "f": found x', 'Cannot read line 7 of "f": found x'],
      ["odd", "odd"],
    ] as const
  ) {
    assertEquals(reasonAt(place, new Error(message)), expected);
    assertEquals(reasonAt(place, expected), expected, "once is enough");
  }
});
