/** Tests of taking the names of datasets apart. */
import { assertEquals, assertThrows } from "@std/assert";
import { parseDatasetSpec } from "../../data/dataset_spec.ts";

const CAULDRON = { kind: "hub", name: "HuggingFaceM4/the_cauldron" } as const;

Deno.test("parseDatasetSpec() understands names on the Hub with configurations and revisions", () => {
  const cases = {
    "HuggingFaceM4/the_cauldron": [{ ...CAULDRON, configs: [] }],
    "HuggingFaceM4/the_cauldron:all": [{ ...CAULDRON, configs: ["all"] }],
    "HuggingFaceM4/the_cauldron:ai2d,aokvqa": [{ ...CAULDRON, configs: ["ai2d", "aokvqa"] }],
    " HuggingFaceM4/the_cauldron:ai2d , aokvqa ": [{ ...CAULDRON, configs: ["ai2d", "aokvqa"] }],
    "HuggingFaceM4/the_cauldron@v1:ai2d": [{ ...CAULDRON, revision: "v1", configs: ["ai2d"] }],
    "HuggingFaceM4/the_cauldron@refs/convert/parquet:ai2d": [
      { ...CAULDRON, revision: "refs/convert/parquet", configs: ["ai2d"] },
    ],
    "HuggingFaceM4/the_cauldron:ai2d,Lin-Chen/MMStar": [
      { ...CAULDRON, configs: ["ai2d"] },
      { kind: "hub", name: "Lin-Chen/MMStar", configs: [] },
    ],
    "HuggingFaceM4/the_cauldron:ai2d,a/b:c,d": [
      { ...CAULDRON, configs: ["ai2d"] },
      { kind: "hub", name: "a/b", configs: ["c", "d"] },
    ],
    "HuggingFaceM4/the_cauldron:ai2d,shapes": [
      { ...CAULDRON, configs: ["ai2d"] },
      { kind: "shapes" },
    ],
    "shapes,shapes": [{ kind: "shapes" }, { kind: "shapes" }],
  };
  for (const [text, specs] of Object.entries(cases)) assertEquals(parseDatasetSpec(text), specs);
});

Deno.test("parseDatasetSpec() prefers what is on this machine", async () => {
  const dir = await Deno.makeTempDir();
  Deno.mkdirSync(`${dir}/owner/name/ai2d`, { recursive: true });
  for (const name of ["a,b.jsonl", "a", "c:d", "x[1].parquet"]) {
    Deno.writeTextFileSync(`${dir}/${name}`, "");
  }
  const before = Deno.cwd();
  Deno.chdir(dir);
  try {
    const cases = {
      "a,b.jsonl": [{ kind: "path", path: "a,b.jsonl" }],
      "owner/name": [{ kind: "path", path: "owner/name" }],
      "owner/name:ai2d,aokvqa": [{
        kind: "folders",
        path: "owner/name",
        configs: ["ai2d", "aokvqa"],
      }],
      "owner/other:ai2d": [{ kind: "hub", name: "owner/other", configs: ["ai2d"] }],
      "owner/other:b,a": [{ kind: "hub", name: "owner/other", configs: ["b"] }, {
        kind: "path",
        path: "a",
      }],
      "c:d,x[1].parquet": [{ kind: "path", path: "c:d" }, { kind: "path", path: "x[1].parquet" }],
      "*.parquet,data/**": [{ kind: "glob", pattern: "*.parquet" }, {
        kind: "glob",
        pattern: "data/**",
      }],
      "a.{csv,tsv},{b,c}/*": [{ kind: "glob", pattern: "a.{csv,tsv}" }, {
        kind: "glob",
        pattern: "{b,c}/*",
      }],
      "owner/other:b,*": [{ kind: "hub", name: "owner/other", configs: ["b"] }, {
        kind: "glob",
        pattern: "*",
      }],
    };
    for (const [text, specs] of Object.entries(cases)) {
      assertEquals<unknown>(parseDatasetSpec(text), specs, text);
    }
  } finally {
    Deno.chdir(before);
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("parseDatasetSpec() refuses what is none of these", () => {
  const wrong = [
    "none",
    "./none",
    "/none/such",
    "none.parquet",
    "a/b.parquet",
    "a/b:c,d.parquet",
    "a/b/c",
    "a/b:",
    "a/b:c/d",
    "https://example.org/a.parquet",
    "shapes:a",
    "x\0y",
  ];
  for (const text of wrong) {
    const error = assertThrows(() => parseDatasetSpec(text), Error);
    assertEquals(/found no such file or folder, expected "shapes"/.test(error.message), true, text);
  }
  for (const text of ["", ",", "shapes,", "shapes,,shapes"]) {
    assertThrows(() => parseDatasetSpec(text), Error, "empty name");
  }
});
