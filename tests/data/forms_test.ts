/** Tests of the forms in which people have pictures with words: each opens without a flag. */
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { parseColumns } from "../../data/dataset_options.ts";
import { openDataset } from "../../data/datasets.ts";
import { PictureError } from "../../data/record_fields.ts";
import { goldenImage, inTemporaryFolder, writeColumns } from "./helpers.ts";

const PNG = goldenImage("1_gray.png");

/** Writes files given by their paths; a picture where there is no text. */
function write(dir: string, files: Readonly<Record<string, string | undefined>>): void {
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${dir}/${path}`.replace(/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(`${dir}/${path}`, text === undefined ? PNG : new TextEncoder().encode(text));
  }
}

/** Every row as "question -> answer | …"; its picture must be PNG. */
async function rowsOf(spec: string, split: "train" | "validation" | "test" = "train") {
  const dataset = await openDataset(spec, split);
  const rows = [];
  for (let index = 0; index < dataset.rows; index++) {
    const { image, turns } = await dataset.row(index);
    assertEquals(image, PNG, `${spec}, row ${index}`);
    rows.push(turns.map(({ question, answer }) => `${question} -> ${answer}`).join(" | "));
  }
  const counts = await dataset.turnCounts();
  assertEquals([...counts], rows.map((row) => row === "" ? 0 : row.split(" | ").length), spec);
  return rows;
}

/** One record in one file beside the picture "p.png". */
async function oneRow(record: unknown): Promise<string | undefined> {
  let row: string | undefined;
  await inTemporaryFolder(async (dir) => {
    write(dir, { "p.png": undefined, "metadata.jsonl": JSON.stringify(record) });
    [row] = await rowsOf(dir);
  });
  return row;
}

const QA = { question: "What?", answer: "a cat" };
const IMAGE = { image: "p.png" };
const BASE64 = PNG.toBase64();
const ask = (content: unknown) => ({ role: "user", content });
const say = (content: unknown) => ({ role: "assistant", content });
const human = (value: string) => ({ from: "human", value });
const gpt = (value: string) => ({ from: "gpt", value });

Deno.test("a picture is found by the common names of columns and in every form of a value", async () => {
  const pictures: Record<string, unknown>[] = [
    { image: "p.png" },
    { images: ["p.png", "none.png"] },
    { img: "p.png" },
    { Picture: "p.png" },
    { photo: { path: "p.png", bytes: null } },
    { image_path: "p.png" },
    { imageFile: "./p.png" },
    { "image file name": "p.png" },
    { file_name: "p.png" },
    { file_names: ["p.png"] },
    { image_file_name: "p.png" },
    { path: "p.png" },
    { image: { bytes: BASE64, path: "gone.png" } },
    { image: `data:image/png;base64,${BASE64}` },
    { image_base64: BASE64 },
    { image: "p.png", image_path: "gone.png", path: "gone.png" },
  ];
  for (const picture of pictures) {
    assertEquals(await oneRow({ ...QA, ...picture }), "What? -> a cat", JSON.stringify(picture));
  }
  const withoutPicture = () => oneRow({ ...QA, image_id: 7, image_width: 4 });
  await assertRejects(withoutPicture, TypeError, "image_id");
});

Deno.test("a question and an answer are found by the common names, the likeliest first", async () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ query: "q", response: "r" }, "q -> r"],
    [{ Prompt: "q", Output: "r" }, "q -> r"],
    [{ instruction: "q", output: "r" }, "q -> r"],
    [{ question: "q", label: 3 }, "q -> 3"],
    [{ prompt: "q", completion: "r", label: "x" }, "q -> r"],
    [{ question: "q", answer: "r", text: "t", caption: "c" }, "q -> r"],
    [{ question: "q", answers: [{ answer: "b" }, { answer: "r" }, { answer: "r" }] }, "q -> r"],
    [{ question: "q", answers: { answer: ["b", "r", "r"], id: [1, 2, 3] } }, "q -> r"],
    [{ question: "q", answers: [{ answer: "b" }], multiple_choice_answer: "r" }, "q -> r"],
    [{ question: "q", caption: "r" }, "q -> r"],
    [{ question: "q", answer: 1, choices: ["a", "r"] }, "q -> r"],
    // Numbers among the choices: a place, or one of them where it can be no place.
    [{ question: "q", answer: 1, choices: ["1", "3"] }, "q -> 3"],
    [{ question: "q", answer: 1, choices: [10, 20] }, "q -> 20"],
    [{ question: "q", answer: 2, choices: [1, 2, 3] }, "q -> 2"],
    [{ question: "q", answer: 20, choices: ["10", "20"] }, "q -> 20"],
    [{ question: "q", answer: "1", choices: ["a", "r"] }, "q -> r"], // as in CSV
    [{ question: "q", answer: "1", choices: ["1", "3"] }, "q -> 1"],
    [{ question: "q", answer: "r", choices: "a, r" }, "q -> r"],
  ];
  for (const [record, row] of cases) {
    assertEquals(await oneRow({ ...record, ...IMAGE }), row, JSON.stringify(record));
  }
  const texts: unknown[] = [' ["a", "r"]', { text: ["a", "r"], label: ["A", "B"] }];
  for (const choices of texts) {
    assertEquals(await oneRow({ ...IMAGE, question: "q", answer: 1, choices }), "q -> r");
  }
  assertEquals(await oneRow({ ...IMAGE, question: "q", answer: 1, options: "" }), "q -> 1");
  for (const choices of ["['a', 'r']", "a, r", 2]) {
    const refused = () => oneRow({ ...IMAGE, question: "q", answer: 1, choices });
    await assertRejects(refused, TypeError, "expected a list");
  }
  const outside = () => oneRow({ ...IMAGE, question: "q", answer: 2, choices: ["1", "2"] });
  await assertRejects(outside, TypeError, "found the number 2, expected a number from 0 to 1");
});

Deno.test("an answer can be a number, a truth value or a list, and nothing that has no words", async () => {
  const cases: [unknown, string][] = [
    [3, "3"],
    [-0.5, "-0.5"],
    [true, "true"],
    [["a", "b", "b"], "a"],
    [[2, 1], "2"],
    ["[0.1, 0.2]", "[0.1, 0.2]"], // a text that looks like a list
    [[["a"]], "a"],
  ];
  for (const [answer, text] of cases) {
    assertEquals(await oneRow({ ...IMAGE, question: "q", answer }), `q -> ${text}`);
  }
  for (const answer of [null, [], {}, [null], "", " \n"]) {
    await assertRejects(() => oneRow({ ...IMAGE, question: "q", answer }), TypeError, '"answer"');
  }
  const empty = () => oneRow({ ...IMAGE, question: "q", answer: [] });
  await assertRejects(empty, TypeError, "found an empty list, expected text");
});

Deno.test("messages of OpenAI, TRL, LLaVA and ShareGPT become questions with answers", async () => {
  const url = `data:image/png;base64,${BASE64}`;
  const text = (words: string) => ({ type: "text", text: words });
  const cases: [Record<string, unknown>, string][] = [
    [{ ...IMAGE, conversations: [human("<image>\nWhat?"), gpt("<b>")] }, "What? -> <b>"],
    [
      { ...IMAGE, conversations: [gpt("hello"), human("What?\n<image>"), gpt("b")] },
      "What? -> b",
    ],
    [{ ...IMAGE, messages: [{ role: "system", content: "s" }, ask("q"), say("a")] }, "q -> a"],
    [{ ...IMAGE, messages: JSON.stringify([ask("q"), say("a")]) }, "q -> a"],
    [
      { images: ["p.png"], messages: [ask([{ type: "image" }, text("q")]), say([text("a")])] },
      "q -> a",
    ],
    [
      { messages: [ask([text("q"), { type: "image_url", image_url: { url } }]), say("a")] },
      "q -> a",
    ],
    [{ messages: [ask([{ type: "image_url", image_url: url }, text("q")]), say("a")] }, "q -> a"],
    [{ messages: [ask([{ type: "image", image: "p.png" }, text("q")]), say("a")] }, "q -> a"],
    [
      { ...IMAGE, prompt: [ask("q")], completion: [say("a"), ask("r"), say("b")] },
      "q -> a | r -> b",
    ],
    [{ ...IMAGE, texts: [{ user: "<image>q", assistant: "<image>" }] }, "q -> <image>"],
    [{ ...IMAGE, conversations: { from: ["human", "gpt"], value: ["q", "a"] } }, "q -> a"],
    [{ ...IMAGE, question: "In <image 1>, what?", answer: "a" }, "In , what? -> a"],
    // Who gives no answer teaches none.
    [{ ...IMAGE, messages: [ask("q"), say(" "), ask("r"), say("b")] }, "r -> b"],
  ];
  for (const [record, row] of cases) {
    assertEquals(await oneRow(record), row, JSON.stringify(record).slice(0, 200));
  }
  const noPicture = () => oneRow({ messages: [ask("q"), say("a")] });
  await assertRejects(noPicture, TypeError, "expected a picture");
  const tool = { ...IMAGE, messages: [ask("q"), { role: "tool", content: "t" }] };
  await assertRejects(() => oneRow(tool), TypeError, '"tool"');
});

Deno.test("captions are asked for in several ways, classes in one, and the dataset says so", () =>
  inTemporaryFolder(async (dir) => {
    write(dir, {
      "c/p.png": undefined,
      "c/metadata.csv": 'file_name,text\np.png,"one, two"\np.png,three\n',
      "d/p.png": undefined,
      "d/metadata.jsonl": JSON.stringify({ ...IMAGE, caption: ["a", "b"] }),
      "e/p.png": undefined,
      "e/metadata.jsonl": JSON.stringify({ ...IMAGE, label: "cat" }),
      "f/metadata.jsonl": JSON.stringify({ ...IMAGE, label: 1, text: "cat" }),
    });
    assertEquals(await rowsOf(`${dir}/c`), [
      "What does the picture show? -> one, two",
      "Describe the picture. -> three",
    ]);
    const captions = await openDataset(`${dir}/d`, "train", { heldOut: 0 }).catch(() =>
      openDataset(`${dir}/d`, "train")
    );
    assertEquals((await captions.row(0)).turns, [
      { question: "What does the picture show?", answer: "a", category: "caption" },
      { question: "Describe the picture.", answer: "b", category: "caption" },
    ]);
    assertStringIncludes(captions.notes![0]!, '"What does the picture show?", "Describe the');
    assertEquals(await rowsOf(`${dir}/e`), ["What is it? -> cat"]);
    const both = await openDataset(`${dir}/e,${dir}/d`, "train");
    assertEquals(both.notes!.length, 2);
    await assertRejects(() => openDataset(`${dir}/f`, "train"), TypeError, "image, label, text");
    await assertRejects(
      () => openDataset(`${dir}/f`, "train"),
      TypeError,
      'Either of "text" and "l',
    );
    const columns = { answer: "label" };
    assertEquals((await openDataset(`${dir}/f`, "train", { columns })).rows, 1);
  }));

Deno.test("the name of a picture's folder is its class, and of a folder above its part", () =>
  inTemporaryFolder(async (dir) => {
    write(dir, {
      "pets/cat/1.png": undefined,
      "pets/cat/test.png": undefined,
      "pets/dog/2.PNG": undefined,
      "pets/dog/._2.png": "",
      "pets/__MACOSX/dog/2.png": "",
      "pets/.cache/x.jsonl": "",
      "parts/train/cat/1.png": undefined,
      "parts/train/dev/1.png": undefined,
      "parts/val/cat/2.png": undefined,
      "kaggle/training_set/training_set/cat/1.png": undefined,
      "kaggle/training_set/training_set/dog/1.png": undefined,
      "kaggle/test_set/test_set/cat/2.png": undefined,
      "photos/cat/1.HEIC": undefined,
      "photos/dog/1.avif": undefined,
      "photos/dog/2.jpe": undefined,
      "photos/dog/3.heif": undefined,
      "one/pictures/1.png": undefined,
      "none/readme.txt": "hello",
    });
    const pets = ["What is it? -> cat", "What is it? -> cat", "What is it? -> dog"];
    for (const spec of ["pets", "pets/*/*", "pets/**/*.[pP]*"]) {
      assertEquals(await rowsOf(`${dir}/${spec}`), pets, spec);
    }
    assertEquals(await rowsOf(`${dir}/parts`), ["What is it? -> cat", "What is it? -> dev"]);
    assertEquals(await rowsOf(`${dir}/parts`, "validation"), ["What is it? -> cat"]);
    assertEquals(await rowsOf(`${dir}/kaggle`), ["What is it? -> cat", "What is it? -> dog"]);
    assertEquals(await rowsOf(`${dir}/kaggle`, "test"), ["What is it? -> cat"]);
    const photos = ["cat", "dog", "dog", "dog"].map((name) => `What is it? -> ${name}`);
    assertEquals(await rowsOf(`${dir}/photos`), photos);
    await assertRejects(() => rowsOf(`${dir}/one`), Error, "no words about them");
    await assertRejects(() => rowsOf(`${dir}/none`), Error, '"readme.txt"');
  }));

Deno.test("folders of parts and of data are opened as a whole, hidden files are none", () =>
  inTemporaryFolder(async (dir) => {
    const line = (question: string, image = "p.png") =>
      JSON.stringify({ ...IMAGE, image, question, answer: "a" });
    write(dir, {
      "a/train/p.png": undefined,
      "a/train/metadata.jsonl": line("t"),
      "a/train/._metadata.jsonl": "x",
      "a/test/metadata.jsonl": line("u", "../train/p.png"),
      "b/images/p.png": undefined,
      "b/data/train.jsonl": line("t", "images/p.png"),
      "b/README.md": "# b",
      "c/x/p.png": undefined,
      "c/x/data.csv": "image,question,answer\np.png,t,a\n",
      "c/y/data.csv": "image,question,answer\n../x/p.png,u,a\n",
    });
    assertEquals(await rowsOf(`${dir}/a`), ["t -> a"]);
    assertEquals(await rowsOf(`${dir}/a`, "test"), ["u -> a"]);
    assertEquals(await rowsOf(`${dir}/a`, "validation"), ["u -> a"]);
    assertEquals(await rowsOf(`${dir}/b`), ["t -> a"]);
    await assertRejects(() => rowsOf(`${dir}/c`), Error, `"${dir}/c:x"`);
    assertEquals(await rowsOf(`${dir}/c/*/data.csv`), ["t -> a", "u -> a"]);
    assertEquals(await rowsOf(`${dir}/c:y`), ["u -> a"]);
    // Opened by itself, a folder is all that there is.
    await assertRejects(() => rowsOf(`${dir}/c/y`), PictureError, '".."');
  }));

Deno.test("files of no part and pictures of no class are left out, and the dataset says so", () =>
  inTemporaryFolder(async (dir) => {
    const csv = (question: string) => `image,question,answer\np.png,${question},a\n`;
    write(dir, {
      "loose/0.png": undefined,
      "loose/cat/1.png": undefined,
      "loose/dog/2.png": undefined,
      "parts/train/0.png": undefined,
      "parts/train/cat/1.png": undefined,
      "parts/train/dog/2.png": undefined,
      "parts/test/cat/3.png": undefined,
      "classes/train/1.png": undefined,
      "classes/bus/2.png": undefined,
      "tables/p.png": undefined,
      "tables/data.csv": csv("t"),
      "tables/test.csv": csv("u"),
    });
    const rows = (...classes: string[]) => classes.map((name) => `What is it? -> ${name}`);
    assertEquals(await rowsOf(`${dir}/loose`), rows("cat", "dog"));
    assertEquals(await rowsOf(`${dir}/parts`), rows("cat", "dog"));
    assertEquals(await rowsOf(`${dir}/classes`), rows("bus", "train"));
    for (const [name, file] of [["loose", "0.png"], ["parts", "train/0.png"]]) {
      const [, note = ""] = (await openDataset(`${dir}/${name}`, "train")).notes!;
      assertStringIncludes(note, `left out: 1, such as "${dir}/${name}/${file}"`);
    }
    assertEquals(await rowsOf(`${dir}/tables`, "test"), ["u -> a"]);
    await assertRejects(() => rowsOf(`${dir}/tables`), Error, `${dir}/tables/data.csv`);
  }));

Deno.test("the card of a clone says which files are of which configuration and part", () =>
  inTemporaryFolder(async (dir) => {
    const csv = (question: string) => `image,question,answer\np.png,${question},a\n`;
    const card = (configs: string) => `---\nlicense: mit\nconfigs:\n${configs}---\n# Pets\n`;
    const files = (train: string, test: string) =>
      `  data_files:\n  - {split: train, path: ${train}}\n  - split: test\n    path: ["${test}"]\n`;
    const deEn = { "en/train.csv": csv("t"), "en/test.csv": csv("u"), "de/train-1.csv": csv("d") };
    write(dir, {
      ...Object.fromEntries(
        ["parts", "configs", "configs/en", "words"].map((folder) => [`${folder}/p.png`, undefined]),
      ),
      "parts/README.md": card(`- config_name: default\n${files("a.csv", "b.csv")}`),
      "parts/a.csv": csv("t"),
      "parts/b.csv": csv("u"),
      "configs/README.md": card(
        `- config_name: english\n  default: true\n${files("en/train*", "en/test*")}` +
          `- config_name: de\n  data_dir: de\n`,
      ),
      ...Object.fromEntries(Object.entries(deEn).map(([name, text]) => [`configs/${name}`, text])),
      "words/README.md": "---\nNot: a: card\n---\n",
      "words/a.csv": csv("t"),
      "bad/README.md": "---\nconfigs:\n- a: b: c\n---\n",
      "bad/a.csv": csv("t"),
    });
    assertEquals(await rowsOf(`${dir}/parts`), ["t -> a"]);
    assertEquals(await rowsOf(`${dir}/parts`, "test"), ["u -> a"]);
    assertEquals(await rowsOf(`${dir}/configs`), ["t -> a"]);
    assertEquals(await rowsOf(`${dir}/configs`, "test"), ["u -> a"]);
    assertEquals(await rowsOf(`${dir}/configs:de`), ["d -> a"]);
    assertEquals(await rowsOf(`${dir}/configs:en`, "test"), ["u -> a"]); // a folder
    assertEquals(await rowsOf(`${dir}/configs:all`), ["t -> a", "d -> a"]);
    const unknown = 'configs:nope": found no such configuration, expected one of "english, de"';
    await assertRejects(() => rowsOf(`${dir}/configs:nope`), Error, unknown);
    assertEquals((await openDataset(`${dir}/configs`, "train")).name, `${dir}/configs:english`);
    assertEquals(await rowsOf(`${dir}/words`), ["t -> a"]);
    await assertRejects(() => rowsOf(`${dir}/bad`), SyntaxError, "README.md");
  }));

Deno.test("what training leaves in the data's folder is no data", () =>
  inTemporaryFolder(async (dir) => {
    const run = (folder: string) => ({
      [`${folder}/events.out.tfevents.1.nanovlm`]: "",
      [`${folder}/metrics.jsonl`]: "{}",
      [`${folder}/config.json`]: "{}",
      [`${folder}/tokenizer.json`]: "{}",
      [`${folder}/example.png`]: undefined,
      [`${folder}/examples/0.png`]: undefined,
      [`${folder}/step-000001/trainer_state.json`]: "{}",
    });
    const csv = "image,question,answer\np.png,t,a\n";
    write(dir, {
      "pets/cat/1.png": undefined,
      "pets/dog/2.png": undefined,
      ...run("pets/run"),
      "pets/model/preprocessor_config.json": "{}",
      "pets/model/vocab.json": "{}",
      "itself/cat/1.png": undefined,
      "itself/dog/2.png": undefined,
      ...run("itself"),
      "configs/x/data.csv": csv,
      "configs/y/data.csv": csv,
      ...run("configs/run"),
    });
    const pets = ["What is it? -> cat", "What is it? -> dog"];
    for (const spec of ["pets", "itself", "pets/**/*"]) {
      assertEquals(await rowsOf(`${dir}/${spec}`), pets, spec);
    }
    assertEquals((await openDataset(`${dir}/configs:all`, "train")).rows, 2);
  }));

Deno.test("what datasets writes about classes gives numbers their names", () =>
  inTemporaryFolder(async (dir) => {
    const features = { label: { names: ["cat", "dog"], _type: "ClassLabel" } };
    const { parquetWriteBuffer } = await import("hyparquet-writer");
    const write = (value: string) =>
      Deno.writeFileSync(
        `${dir}/a.parquet`,
        new Uint8Array(parquetWriteBuffer({
          columnData: [
            { name: "image", data: [PNG, PNG, PNG] },
            { name: "label", data: [1, 0, -1], type: "INT32" },
          ],
          kvMetadata: [{ key: "huggingface", value }],
        })),
      );
    write(JSON.stringify({ info: { features } }));
    const dataset = await openDataset(`${dir}/a.parquet`, "train");
    assertEquals((await dataset.row(0)).turns[0]!.answer, "dog");
    assertEquals((await dataset.row(1)).turns[0]!.answer, "cat");
    await assertRejects(async () => await dataset.row(2), TypeError, "-1 stands for no label");
    for (const other of ["{", "[]", '{"info": 7}']) {
      write(other);
      const numbers = await openDataset(`${dir}/a.parquet`, "train");
      assertEquals((await numbers.row(0)).turns[0]!.answer, "1");
    }
  }));

Deno.test("a misspelt key or path is told with what was perhaps meant", () =>
  inTemporaryFolder(async (dir) => {
    const lines = [{ ...IMAGE, ...QA }, { ...IMAGE, qestion: "q", answer: "a" }, {
      imgae: "p",
      ...QA,
    }];
    write(dir, {
      "my-pics/p.png": undefined,
      "my-pics/metadata.jsonl": lines.map((one) => JSON.stringify(one)).join("\n"),
      "flat.parquet": "",
    });
    const dataset = await openDataset(`${dir}/my-pics`, "train");
    await assertRejects(async () => await dataset.row(1), TypeError, '"qestion"');
    await assertRejects(async () => await dataset.row(2), PictureError, '"imgae"');
    const before = Deno.cwd();
    Deno.chdir(dir);
    try {
      for (
        const [name, near] of [
          ["my-pic", "my-pics"],
          ["./mypics", "./my-pics"],
          ["my-pics/train", undefined],
          ["my-pics/metadat", "my-pics/metadata.jsonl"],
          ["my-pics/metadata.json", "my-pics/metadata.jsonl"],
          ["my-pictures", "my-pics"],
          ["flat.parqet", "flat.parquet"],
          [`${dir}/my-picks`, `${dir}/my-pics`],
          ["C:\\pics", undefined],
          ["none/such.csv", undefined],
        ] as const
      ) {
        const error = await assertRejects(() => openDataset(name, "train"), Error, "no such file");
        assertStringIncludes(
          error.message,
          near ? `Did you mean "${near}"?` : "Check the path.",
          name,
        );
      }
    } finally {
      Deno.chdir(before);
    }
    const open = (columns: Record<string, string>) =>
      openDataset(`${dir}/my-pics`, "train", { columns });
    await assertRejects(() => open({ answer: "anwser" }), TypeError, 'did you mean "answer"?');
    writeColumns(`${dir}/flat.parquet`, [{ name: "photograph", data: [PNG] }]);
    const flat = () =>
      openDataset(`${dir}/flat.parquet`, "train", { columns: { image: "photogr" } });
    await assertRejects(flat, TypeError, 'did you mean "photograph"?');
    const hint = async (names: string[]) => {
      writeColumns(`${dir}/flat.parquet`, names.map((name) => ({ name, data: [PNG] })));
      const error = await assertRejects(
        () => openDataset(`${dir}/flat.parquet`, "train"),
        TypeError,
      );
      return /Perhaps (.*?)\. /.exec(error.message)?.[1];
    };
    assertEquals(await hint(["frage", "image_id", "fine_label", "id"]), undefined);
    assertEquals(await hint(["imgae", "id"]), '"image" instead of "imgae"');
    assertThrows(() => parseColumns(["imgae=a"]), TypeError, 'Did you mean "image=a"?');
    await assertRejects(() => openDataset(`${dir}/flat.parquet`, "train"), TypeError, "--columns");
  }));

Deno.test("every example of docs/data.md opens as it stands, and gives questions with answers", () =>
  inTemporaryFolder(async (dir) => {
    const page = await Deno.readTextFile(new URL("../../docs/data.md", import.meta.url));
    const [, own = ""] = page.split("## Your own pictures");
    const blocks = [...own.matchAll(/^```json\n([^]*?)^```/gm)].map(([, block = ""]) => block);
    assertEquals(blocks.length, 4);
    const [csv = ""] = /^file_name,[^]*?(?=^```)/m.exec(own) ?? [];
    for (const [at, text] of [...blocks, csv].entries()) {
      const folder = `${dir}/${at}`;
      const ending = text === csv ? "csv" : text.trimStart().startsWith("[") ? "json" : "jsonl";
      const paths = text.match(/[\w/]+\.(png|jpg)/g) ?? [];
      write(folder, {
        ...Object.fromEntries(paths.map((path) => [path, undefined])),
        [`metadata.${ending}`]: text.replace("iVBORw0K…", BASE64),
      });
      const rows = await rowsOf(folder);
      assertEquals(rows.every((row) => / -> ./.test(row)), true, text);
      assertEquals(rows.length, ending === "jsonl" ? text.trim().split("\n").length : 1);
    }
  }));

Deno.test("a path without the folder that its picture is in is refused with the one that is there", () =>
  inTemporaryFolder(async (dir) => {
    write(dir, {
      "train.csv": "filename,label\n0.jpg,a\n9.jpg,b\n",
      "images/0.jpg": undefined,
      "other/1.jpg": undefined,
    });
    const dataset = await openDataset(`${dir}/train.csv`, "train");
    const found = 'picture "0.jpg": found no such file, but "images/0.jpg", expected';
    await assertRejects(async () => await dataset.row(0), PictureError, found);
    await assertRejects(
      async () => await dataset.row(1),
      PictureError,
      "found no such file, expected",
    );
  }));

Deno.test("a picture's name may have colons, ways back inside the folder and accents of either kind", () =>
  inTemporaryFolder(async (dir) => {
    const names = {
      "a:b.png": "a:b.png",
      "10:30/x:y.png": "10:30/x:y.png",
      "pictures/0.png": "none/../pictures/./0.png",
      ["pictures/é 1%20#?.png".normalize("NFD")]: "pictures/é 1%20#?.png".normalize("NFC"),
      "b\\c.png": "b\\c.png",
      "d/e.png": "d\\e.png",
      "[1].png": "[1].png",
    };
    const lines = Object.values(names).map((image) => JSON.stringify({ ...QA, image }));
    const again = `../${dir.replace(/.*\//, "")}/a:b.png`; // out of the folder and in again
    write(dir, {
      ...Object.fromEntries(Object.keys(names).map((path) => [path, undefined])),
      "metadata.jsonl": [...lines, JSON.stringify({ ...QA, image: again })].join("\n"),
    });
    assertEquals((await rowsOf(dir)).length, 8);
  }));
