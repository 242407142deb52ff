/**
 * What training takes, for people and as JSON, and what would fit where it does not.
 *
 * Between train.ts and model/training_plan.ts. Ours.
 */
import { type Config, frozenParts, type Part, type VLMConfig } from "../model/config.ts";
import { type Choice, type ChoiceOptions, choosePlan } from "../model/plan_choice.ts";
import { planTraining, type TrainingPlan } from "../model/training_plan.ts";

type Device = Parameters<typeof choosePlan>[0];
type PlanRequest = Pick<ChoiceOptions, "memory" | "dtype">;

/** Megabytes of 10^6 bytes. */
export function megabytes(bytes: number): string {
  return `${
    (bytes / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })
  } MB`;
}

/** Why a plan does not fit and what would; undefined where it does. */
export function problemOf({ plan, fits, limit, remedy }: Choice): string | undefined {
  if (fits) return undefined;
  const problem = plan.obstacle ?? `it takes ${megabytes(plan.totalBytes)}, expected ` +
      (limit
        ? `at most ${megabytes(limit.bytes)}, ${limit.source}`
        : "as much memory as the GPU can give");
  if (!remedy) return `${problem}; nothing smaller fits either; choose a smaller model`;
  const flags = `--micro-batch-size ${remedy.microBatchSize} --recompute ${remedy.recompute}`;
  return `${problem}; ${flags} would take ${megabytes(remedy.totalBytes)}`;
}

/** Steps of micro-batches in a step. */
function accumulationSteps({ batchSize, microBatchSize }: TrainingPlan): number {
  return Math.ceil(batchSize / microBatchSize);
}

/** Memory by what it is for. */
function parts(plan: TrainingPlan): readonly (readonly [string, number])[] {
  return [
    ["Parameters", plan.parametersBytes],
    ["Gradients", plan.gradientsBytes],
    ["Moments", plan.momentsBytes],
    ["Activations", plan.activationsBytes],
    ["Workspace", plan.workspaceBytes],
  ];
}

/** What does not train, and what that saves where it is known. */
function frozenText({ frozen = [] }: TrainingPlan, saving?: Saving): string[] {
  if (frozen.length === 0) return [];
  const saved = saving &&
    `: saves ${megabytes(saving.saved_bytes)} and ${
      arithmetic(saving.saved_flops_per_step)
    } a step`;
  return [`Frozen      ${frozen.join(", ")}${saved ?? ""}`];
}

/** Floating-point operations. */
export function arithmetic(flops: number): string {
  return flops < 1e12
    ? `${(flops / 1e9).toPrecision(4)} GFLOP`
    : `${(flops / 1e12).toPrecision(4)} TFLOP`;
}

function stepText(plan: TrainingPlan): string {
  const passes = accumulationSteps(plan);
  return `${plan.batchSize} questions` +
    (passes > 1 ? ` in ${passes} parts of up to ${plan.microBatchSize}` : "") +
    ` of ${plan.length} tokens, picture included, ${arithmetic(plan.flopsPerStep)}, ` +
    `${
      plan.dispatchesPerStep.toLocaleString("en")
    } launches, ${plan.dtype}, recompute ${plan.recompute}`;
}

/** A plan in a few lines, for a run that begins. */
export function planText(plan: TrainingPlan): string {
  const list = parts(plan).map(([name, bytes]) => `${name.toLowerCase()} ${megabytes(bytes)}`);
  return [`Step        ${stepText(plan)}`, ...frozenText(plan)].join("\n") +
    `\nGPU memory  ${megabytes(plan.totalBytes)}: ${list.join(", ")}`;
}

/**
 * How to train with the memory that there is; a GPU's is tried out.
 *
 * @throws {RangeError} where it is too little, saying what would fit
 */
export async function requirePlan(
  device: Device,
  { vlm, train }: Config,
  request: PlanRequest,
): Promise<TrainingPlan> {
  const { batch_size: batchSize } = train;
  const frozen = frozenParts(train);
  const choice = await choosePlan(device, vlm, { ...request, batchSize, frozen, probes: true });
  if (choice.fits) return choice.plan;
  throw new RangeError(`Cannot train on batches of ${batchSize}: ${problemOf(choice)}`);
}

/**
 * The plan as text or as one JSON document; nothing of it is allocated. Where the precision is left open it is f16 if the GPU
 * has it, for nothing is measured.
 */
export async function planReport(
  device: Device,
  { vlm, train }: Config,
  { isJson, memory }: Pick<PlanRequest, "memory"> & { isJson: boolean },
): Promise<string> {
  const { batch_size: batchSize, dtype: asked } = train;
  const dtype = asked !== "auto" ? asked : device.f16 ? "f16" : "f32";
  const frozen = frozenParts(train);
  const request = { memory, dtype, batchSize, frozen, probes: false };
  const choice = await choosePlan(device, vlm, request);
  const saving = await savingOf(device, vlm, choice.plan);
  return isJson
    ? JSON.stringify({ ...choiceJson(choice, device.description), ...saving })
    : choiceText(choice, device.description, saving);
}

/** What freezing parts saves of a step that is taken in the same way. */
interface Saving {
  readonly frozen: readonly Part[];
  readonly saved_bytes: number;
  readonly saved_flops_per_step: number;
}

async function savingOf(device: Device, vlm: VLMConfig, plan: TrainingPlan): Promise<Saving> {
  const { frozen = [] } = plan;
  const whole = frozen.length > 0 ? await planTraining(device, vlm, { ...plan, frozen: [] }) : plan;
  return {
    frozen,
    saved_bytes: whole.totalBytes - plan.totalBytes,
    saved_flops_per_step: whole.flopsPerStep - plan.flopsPerStep,
  };
}

function choiceText(choice: Choice, device: string, saving: Saving): string {
  const { plan, limit } = choice;
  const memory = limit
    ? `${megabytes(limit.bytes)}, ${limit.source}`
    : "unknown, give --memory-limit SIZE";
  const problem = problemOf(choice);
  return [
    ...[...parts(plan), ["Total", plan.totalBytes] as const].map(([name, bytes]) =>
      `${name.padEnd(12)}${megabytes(bytes).padStart(12)}`
    ),
    `Step        ${stepText(plan)}`,
    ...frozenText(plan, saving),
    `Device      ${device}`,
    `Memory      ${memory}`,
    `Fits        ${problem === undefined ? "yes" : `no: ${problem}`}`,
  ].join("\n");
}

/** The plan as it is written to JSON. */
export function planJson(plan: TrainingPlan): Record<string, unknown> {
  return {
    parameters: plan.parameters,
    parameters_bytes: plan.parametersBytes,
    gradients_bytes: plan.gradientsBytes,
    moments_bytes: plan.momentsBytes,
    activations_bytes: plan.activationsBytes,
    workspace_bytes: plan.workspaceBytes,
    total_bytes: plan.totalBytes,
    flops_per_step: plan.flopsPerStep,
    dispatches_per_step: plan.dispatchesPerStep,
    dtype: plan.dtype,
    batch_size: plan.batchSize,
    micro_batch_size: plan.microBatchSize,
    accumulation_steps: accumulationSteps(plan),
    recompute: plan.recompute,
    tokens_per_row: plan.length,
  };
}

function choiceJson(choice: Choice, device: string): Record<string, unknown> {
  const { plan, fits, limit } = choice;
  return {
    ...planJson(plan),
    device,
    memory_limit_bytes: limit?.bytes ?? null,
    fits,
    problem: problemOf(choice) ?? null,
  };
}
