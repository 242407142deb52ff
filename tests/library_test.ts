// Tests of mod.ts as programs elsewhere use it: every example of the doc comments, as it stands, in a folder of its own with
// the checkout behind it, and the first ones with no more than the files that would be published.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { presets } from "../model/config.ts";
import { VisionLanguageModel } from "../model/vision_language_model.ts";
import { Device } from "../shaders/runtime/device.ts";
import { startHub } from "./hub/server.ts";
import { HubStore } from "./hub/store.ts";
import { uploadRoute } from "./hub/upload_routes.ts";
import { hasAdapter } from "./run_helpers.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** The examples in the doc comments of a file. */
function examplesIn(path: string): string[] {
  const text = Deno.readTextFileSync(ROOT + path);
  return [...text.matchAll(/^ *\* ```ts.*\n((?: *\*.*\n)*?) *\* ```$/gm)].map(([, block]) =>
    block!.replaceAll(/^ *\* ?/gm, "")
  );
}

/** All files that are not tests, by their paths. */
function productFiles(folder = ""): string[] {
  return [...Deno.readDirSync(ROOT + folder)].flatMap(({ name, isDirectory }) => {
    if (/^(\..*|node_modules|vendor|tests|checkpoints)$/.test(name)) return [];
    if (isDirectory) return productFiles(`${folder}${name}/`);
    return name.endsWith(".ts") ? [folder + name] : [];
  });
}

/** A folder with a model, a picture and a deno.json that knows the library in `library`; removed afterwards. */
async function program(library: string) {
  const dir = await Deno.makeTempDir();
  using device = await Device.open();
  const config = { ...presets.quickstart.vlm, vit_n_blocks: 1, lm_n_blocks: 1 };
  const how = { seed: 1, initialization: "fan_in" } as const;
  using model = await VisionLanguageModel.fromScratch(device, config, how);
  await model.savePretrained(`${dir}/checkpoints/quickstart`);
  await Deno.copyFile(`${ROOT}tests/golden/data/images/5_photo.jpg`, `${dir}/photo.jpg`);
  // As mod.ts says it for where JSR cannot be reached. The packages of npm are the project's, so that nothing is downloaded.
  const lines = Deno.readTextFileSync(`${ROOT}mod.ts`).match(/(?<=`)"(imports|links)": [^`]+/g);
  assertEquals(lines?.length, 2);
  const said = lines!.join(",\n").replaceAll("../nanovlm", library);
  await Deno.writeTextFile(`${dir}/deno.json`, `{\n${said},\n"nodeModulesDir": "manual"\n}\n`);
  await Deno.symlink(`${ROOT}node_modules`, `${dir}/node_modules`);
  return {
    dir,
    async run(args: string[], env: Record<string, string> = {}) {
      const output = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", "--cached-only", ...args],
        cwd: dir,
        env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1", HF_HUB_OFFLINE: "1", ...env },
      }).output();
      const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
        new TextDecoder().decode(bytes)
      );
      return { code: output.code, stdout: stdout!, stderr: stderr! };
    },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

const ignore = !hasAdapter;

Deno.test({
  name: "every example runs as it stands in a program outside of the project, types and all",
  ignore,
  fn: async () => {
    await using hub = startHub(new HubStore(), [uploadRoute]);
    await using outside = await program(ROOT.slice(0, -1));
    const examples = productFiles().flatMap((path) => examplesIn(path));
    assert(examples.length >= 7, `found ${examples.length} examples`);
    const write = (path: string, text: string) => {
      Deno.writeTextFileSync(`${outside.dir}/${path}`, text);
      return path;
    };
    const all = examples.map((example, i) => {
      assert(example.includes(`from "@nanovlm/webgpu"`), example);
      write(`example_${i}.ts`, `${example}\nexport {};\n`);
      return `console.log("example", ${i});\nawait import("./example_${i}.ts");\n`;
    });
    write("all.ts", all.join(""));
    const checked = examples.map((example, i) =>
      write(`checked_${i}.ts`, example.replaceAll(`"@nanovlm/webgpu"`, `"${ROOT}mod.ts"`))
    );
    const types = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--config", `${ROOT}deno.json`, ...checked],
      cwd: outside.dir,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(types.code, 0, new TextDecoder().decode(types.stderr));
    const env = { HF_ENDPOINT: hub.endpoint, HF_TOKEN: new HubStore().token, HF_HUB_OFFLINE: "0" };
    const { code, stdout, stderr } = await outside.run(["all.ts"], env);
    assertEquals(
      [code, stdout.match(/^example /gm)?.length],
      [0, examples.length],
      stdout + stderr,
    );
  },
});

Deno.test({
  name: "the files that `deno publish` ships are enough for a program",
  ignore,
  fn: async () => {
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    const listed = new TextDecoder().decode(stderr).matchAll(/^ +file:\/\/(\S+) \(/gm);
    const files = [...listed].map(([, path]) => path!.slice(ROOT.length));
    assert(files.includes("mod.ts") && !files.some((path) => path.startsWith("tests/")));
    const library = await Deno.makeTempDir();
    for (const path of [...files, "deno.json"]) {
      await Deno.mkdir(`${library}/${path}`.replace(/[^/]*$/, ""), { recursive: true });
      await Deno.copyFile(ROOT + path, `${library}/${path}`);
    }
    await using outside = await program(library);
    await Deno.writeTextFile(`${outside.dir}/first.ts`, examplesIn("mod.ts")[0]!);
    const first = await outside.run(["first.ts"]);
    assertEquals(first.code, 0, first.stderr);
    assertMatch(first.stdout, /^[^]+ 0\.\d+\n$/);
    await Deno.remove(library, { recursive: true });
  },
});
