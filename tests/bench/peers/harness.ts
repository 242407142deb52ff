/**
 * The peers' harness: scripts for other WebGPU libraries, in a folder beside the repository, and where they are installed.
 *
 * First step of main.ts. The folder is left as it is: a copy in the user's cache gets the libraries, with the command of the
 * harness's README.
 */
import { cacheFolder } from "../../../commands/device.ts";
import { UsageError } from "../../../commands/flags.ts";
import { statOf } from "../../../data/pretrained.ts";

/** The README's command, but for `npm`. */
const INSTALL = "install --no-package-lock --ignore-scripts --no-audit --no-fund --legacy-peer-deps"
  .split(" ");
/** Which package.json a copy's libraries come from. */
const STAMP = "installed.json";

/**
 * The folder to run the peers in: `source` itself where it has its libraries, or its copy in the cache, where they are
 * installed if they are not yet, or if `anew`.
 *
 * @throws {UsageError} where there is no harness, or no cache folder
 * @throws {Error} where npm is missing or fails
 */
export async function openHarness(source: string, anew: boolean): Promise<string> {
  if (!statOf(`${source}/package.json`)?.isFile) {
    throw new UsageError(
      `Cannot compare: found no package.json in "${source}", expected the peers' harness; give its folder by --peers DIR.`,
    );
  }
  if (statOf(`${source}/node_modules`)?.isDirectory && !anew) return source;
  const cache = await cacheFolder();
  if (cache === undefined) {
    throw new UsageError(
      "Cannot install the peers: found no cache folder, expected HOME to be set.",
    );
  }
  const copy = `${cache}/peers`;
  copyFiles(source, copy);
  const wanted = Deno.readTextFileSync(`${copy}/package.json`);
  const stamp = `${copy}/${STAMP}`;
  const isInstalled = statOf(stamp) !== undefined && Deno.readTextFileSync(stamp) === wanted;
  if (isInstalled && !anew) return copy;
  console.error(`Installing the peers' libraries, 1 GB, in "${copy}"`);
  await runNpm(copy);
  Deno.writeTextFileSync(stamp, wanted);
  return copy;
}

/** Copies the files of a folder, not its folders; the source may be read-only. */
function copyFiles(source: string, copy: string): void {
  Deno.mkdirSync(copy, { recursive: true });
  for (const { name, isFile } of Deno.readDirSync(source)) {
    if (isFile) Deno.writeFileSync(`${copy}/${name}`, Deno.readFileSync(`${source}/${name}`));
  }
}

async function runNpm(folder: string): Promise<void> {
  let code: number;
  try {
    const options = { args: INSTALL, cwd: folder, stdin: "null", stdout: "null" } as const;
    ({ code } = await new Deno.Command("npm", { ...options, stderr: "inherit" }).output());
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot install the peers in "${folder}": found no npm, expected it on the path`,
      { cause: error },
    );
  }
  if (code !== 0) {
    throw new Error(
      `Cannot install the peers in "${folder}": npm's exit status was ${code}, expected 0; see its output above`,
    );
  }
}
