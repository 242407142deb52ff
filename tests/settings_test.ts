// Tests of docs/settings.md and of the script that makes it.
import { assertEquals } from "@std/assert";
import { meaningsIn, PAGE, settingsPage } from "./settings.ts";

Deno.test("docs/settings.md is what `deno task settings` makes of the code", () => {
  assertEquals(Deno.readTextFileSync(new URL(`../${PAGE}`, import.meta.url)), settingsPage());
});

Deno.test("meaningsIn() finds a key's own comment, on one line or several", () => {
  const source = `/** Of the whole. */
    interface A {
      /** One. */
      readonly a: number;
      readonly b: number;
      /**
       * Two lines
       * of it.
       */
      readonly c: string;
    }`;
  assertEquals([...meaningsIn(source)], [["a", "One."], ["c", "Two lines of it."]]);
});
