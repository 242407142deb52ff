/**
 * Commands: what a recording is a list of, and the checks that each must pass.
 *
 * Between recorder.ts, which appends them, and plan.ts, which lays them out and replays them.
 */
import type { Constants, Kernel } from "./kernel.ts";
import type { Storage, Tensor } from "./tensor.ts";

/** One kernel launch. */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly params: Readonly<Record<string, number>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly constants: Constants;
  readonly workgroups: readonly [number, number, number];
  /** Floating-point operations, where the op counts them: products do. */
  readonly flops: number;
}

/** A step of the plan: a launch, or a range of memory set to zero. */
export type Command = Dispatch | { readonly clear: Tensor };

/** What `dispatch` takes. */
export interface DispatchOptions<P extends string, B extends string> {
  readonly params: Readonly<Record<P, number>>;
  readonly tensors: Readonly<Record<B, Tensor>>;
  readonly workgroups: readonly [number, number?, number?];
  readonly constants?: Constants;
  /** Floating-point operations, for products. */
  readonly flops?: number;
}

/** The tensors that a command reads or writes. */
export function tensorsOf(command: Command): readonly Tensor[] {
  return "clear" in command ? [command.clear] : [...command.tensors.values()];
}

/**
 * `commands` without those of the first `count` whose results none of the others reads, such as the last product of a
 * block that is recorded again.
 */
export function withoutUnread(
  commands: readonly Command[],
  count: number,
  kept: ReadonlySet<Storage>,
): Command[] {
  const read = new Set<Storage>();
  const isUseful = (command: Command) =>
    writesOf(command).some((s) => s.persistent || kept.has(s) || read.has(s));
  return commands.toReversed().filter((command, i) => {
    if (commands.length - 1 - i < count && !isUseful(command)) return false;
    for (const { storage } of tensorsOf(command)) read.add(storage);
    return true;
  }).reverse();
}

/** The storages that a command writes. */
function writesOf(command: Command): readonly Storage[] {
  if ("clear" in command) return [command.clear.storage];
  return [...command.kernel.layout].flatMap(([name, { writes }]) => {
    const tensor = command.tensors.get(name);
    return writes && tensor ? [tensor.storage] : [];
  });
}

/**
 * Checks what a launch binds.
 *
 * @throws {TypeError} where a tensor is missing, was handed on, has elements of another type, or is read and written at once.
 */
export function checkBindings(
  kernel: Kernel,
  tensors: ReadonlyMap<string, Tensor>,
): void {
  const written = new Set<Storage>();
  for (const [name, binding] of kernel.layout) {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new TypeError(
        `Cannot dispatch ${kernel.name}: the tensor "${name}" is missing`,
      );
    }
    if (tensor.moved) {
      throw new TypeError(
        `Cannot dispatch ${kernel.name}: the buffer of ${tensor} was handed on as another gradient; read it before`,
      );
    }
    if (tensor.dtype !== binding.dtype) {
      throw new TypeError(
        `Cannot dispatch ${kernel.name}: "${name}" is ${tensor.dtype} ${tensor}, expected ${binding.dtype}`,
      );
    }
    if (binding.writes) written.add(tensor.storage);
  }
  for (const [name, binding] of kernel.layout) {
    const tensor = tensors.get(name);
    if (tensor && !binding.writes && written.has(tensor.storage)) {
      throw new TypeError(
        `Cannot dispatch ${kernel.name}: ${tensor} is read as "${name}" and written at once`,
      );
    }
  }
}

/** "x [2, 3], y [2, 3]" for messages. */
export function list(tensors: ReadonlyMap<string, Tensor>): string {
  return [...tensors].map(([name, tensor]) => `${name} [${tensor.shape.join(", ")}]`).join(", ");
}
