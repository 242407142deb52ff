// Tests of setup.ts: with an environment made up, and the real script on this machine.
import { assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { setup, type SetupEnvironment } from "../setup.ts";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n';

interface Outcome {
  readonly status: number;
  readonly lines: string;
  readonly commands: string[];
}

async function outcomeOf(changes: Partial<SetupEnvironment>): Promise<Outcome> {
  const lines: string[] = [], commands: string[] = [];
  const status = await setup({
    os: "linux",
    osRelease: DEBIAN,
    isRoot: true,
    hasAdapter: () => Promise.resolve(false),
    hasAdapterNow: () => Promise.resolve(true),
    run: (commandLine) => {
      commands.push(commandLine);
      return Promise.resolve(0);
    },
    print: (line) => lines.push(line),
    ...changes,
  });
  return { status, lines: lines.join("\n"), commands };
}

Deno.test("setup() says and does nothing where there is an adapter", async () => {
  const outcome = await outcomeOf({ hasAdapter: () => Promise.resolve(true) });
  assertEquals(outcome, { status: 0, lines: "", commands: [] });
});

for (
  const [system, osRelease] of [
    ["Debian", DEBIAN],
    ["Ubuntu", 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n'],
    ["a relative of Ubuntu", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'],
  ] as const
) {
  Deno.test(`setup() says that it installs, and installs, as root on ${system}`, async () => {
    const { status, lines, commands } = await outcomeOf({ osRelease });
    assertEquals(status, 0);
    assertStringIncludes(lines, "installing mesa-vulkan-drivers libvulkan1");
    assertEquals(commands, [
      "apt-get update && apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1",
    ]);
  });
}

Deno.test("setup() fails when apt-get fails", async () => {
  const { status, lines } = await outcomeOf({ run: () => Promise.resolve(100) });
  assertEquals(status, 1);
  assertStringIncludes(lines, "exit status was 100");
});

Deno.test("setup() fails when installing did not help", async () => {
  const { status, lines } = await outcomeOf({ hasAdapterNow: () => Promise.resolve(false) });
  assertEquals(status, 1);
  assertStringIncludes(lines, "did not help");
});

Deno.test("setup() gives a user who is not root the command to run", async () => {
  const { status, lines, commands } = await outcomeOf({ isRoot: false });
  assertEquals({ status, commands }, { status: 1, commands: [] });
  assertMatch(lines, /sudo sh -c "apt-get update && apt-get install .*mesa-vulkan-drivers/);
});

Deno.test("setup() says what to install on other systems and installs nothing", async () => {
  for (const changes of [{ osRelease: "ID=fedora\n" }, { osRelease: "" }]) {
    const { status, lines, commands } = await outcomeOf(changes);
    assertEquals({ status, commands }, { status: 1, commands: [] });
    assertStringIncludes(lines, "Vulkan driver");
  }
  for (const os of ["darwin", "windows"] as const) {
    const { status, lines, commands } = await outcomeOf({ os });
    assertEquals({ status, commands }, { status: 1, commands: [] });
    assertStringIncludes(lines, "graphics card's driver");
  }
});

Deno.test("setup.ts --probe exits in under two seconds and prints no result", async () => {
  const script = new URL("../setup.ts", import.meta.url).pathname;
  const start = performance.now();
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--probe"],
  }).output();
  const milliseconds = performance.now() - start;
  const adapter = await navigator.gpu.requestAdapter();
  assertEquals({ code, stdout: stdout.length }, { code: adapter === null ? 1 : 0, stdout: 0 });
  assertLess(milliseconds, 2000);
});
