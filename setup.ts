// `deno task setup`: makes sure that there is a graphics driver that WebGPU can use, and on Debian and Ubuntu installs
// Mesa's software driver where there is none. Every task that computes runs it first; it takes a tenth of a second.
// Deno's own fallback, OpenGL, is not enough: it has no 16-bit floats, no subgroups, and too few storage buffers.

const PACKAGES = "mesa-vulkan-drivers libvulkan1";
const INSTALL = `apt-get update && apt-get install -y --no-install-recommends ${PACKAGES}`;

/** What setup() finds around it and may do. */
export interface SetupEnvironment {
  readonly os: typeof Deno.build.os;
  /** The content of /etc/os-release, "" where there is none. */
  readonly osRelease: string;
  readonly isRoot: boolean;
  /** Whether this process gets a WebGPU adapter on Vulkan, Metal or Direct3D 12. */
  hasAdapter(): Promise<boolean>;
  /** The same in a new process: a process that once found no driver never finds one. */
  hasAdapterNow(): Promise<boolean>;
  /** Runs a shell command line, showing its output, and resolves to its exit status. */
  run(commandLine: string): Promise<number>;
  /** Shows a line to the user. */
  print(line: string): void;
}

/** Checks for a usable adapter, installs a driver where it can, and resolves to the exit status: 0 if there is one. */
export async function setup(environment: SetupEnvironment): Promise<number> {
  const { os, osRelease, isRoot, print } = environment;
  if (await environment.hasAdapter()) return 0;
  const problem = "Cannot compute: no WebGPU adapter on Vulkan, Metal or " +
    "Direct3D 12 was found, expected one.";
  if (os !== "linux") {
    print(`${problem} Install your graphics card's driver.`);
    return 1;
  }
  if (!isDebian(osRelease)) {
    print(
      `${problem} Install your graphics card's Vulkan driver, or Mesa's ` +
        `software one: "vulkan-swrast" on Arch and Alpine, ` +
        `"mesa-vulkan-drivers" on Fedora.`,
    );
    return 1;
  }
  if (!isRoot) {
    print(`${problem} Install a driver:\n  sudo sh -c "${INSTALL}"`);
    return 1;
  }
  print(
    `No WebGPU adapter on Vulkan was found: installing ${PACKAGES}, ` +
      `Mesa's software driver, by apt-get.`,
  );
  const status = await environment.run(INSTALL);
  if (status !== 0) {
    print(
      `Cannot install ${PACKAGES}: apt-get's exit status was ${status}, expected 0. See its output above.`,
    );
    return 1;
  }
  if (await environment.hasAdapterNow()) return 0;
  print(`${problem} ${PACKAGES} did not help; see if vulkaninfo finds one.`);
  return 1;
}

function isDebian(osRelease: string): boolean {
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
}

async function hasAdapter(): Promise<boolean> {
  // Read by Deno when WebGPU is first used. Leaves out OpenGL, which looks the same in adapter.info.
  Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan,metal,dx12");
  return await navigator.gpu.requestAdapter() !== null;
}

async function run(command: string, args: string[]): Promise<number> {
  // On stderr, since the stdout of a task is its result.
  const process = new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
    env: { DEBIAN_FRONTEND: "noninteractive" },
  }).spawn();
  await process.stdout.pipeTo(Deno.stderr.writable, { preventClose: true });
  return (await process.status).code;
}

function readOsRelease(): string {
  try {
    return Deno.readTextFileSync("/etc/os-release");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function main(): Promise<number> {
  if (Deno.args.includes("--probe")) return await hasAdapter() ? 0 : 1;
  return await setup({
    os: Deno.build.os,
    osRelease: readOsRelease(),
    isRoot: Deno.uid() === 0,
    hasAdapter,
    hasAdapterNow: async () => {
      const script = import.meta.filename ?? "";
      return await run(Deno.execPath(), ["run", "-A", script, "--probe"]) === 0;
    },
    run: (commandLine) => run("sh", ["-c", commandLine]),
    print: (line) => console.error(line),
  });
}

if (import.meta.main) Deno.exit(await main());
