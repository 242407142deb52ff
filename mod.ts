/**
 * nanoVLM on WebGPU: a small vision-language model, trained and run by Deno's own WebGPU.
 *
 * A guided tour, in the order in which data flows:
 *
 * 1. **Data.** `openRepository()` fetches from the Hugging Face Hub. `openDataset()` opens pictures with questions, `Samples`
 *    numbers the questions, an `ImageProcessor` and a `Tokenizer` turn both into numbers, `VQACollator` makes batches for
 *    training and `MMStarCollator` for answering, and `Loader` streams shuffled batches from worker threads.
 * 2. **Model.** `Device` opens the GPU. `VisionLanguageModel` is a vision encoder (SigLIP), a projector (pixel shuffle and
 *    one linear layer) and a language model (Llama), under nanoVLM's names; it reads and writes nanoVLM's checkpoints.
 *    Its shape is a `VLMConfig`; `presets` has three.
 * 3. **Training.** `Trainer` records a step once (forward, loss, backward, `AdamW`) and replays it for every batch; `getLr()`
 *    is the schedule. `planTraining()` says beforehand what that takes, `choosePlan()` how to do with the memory there is.
 *    `train()` puts all of it together: start reading the code there.
 * 4. **Evaluation.** `LossMeter` measures losses, `evaluate()` counts right answers.
 * 5. **Answers.** `load()` gives an `Assistant` to ask. Below it `Generator` continues a prompt token by token with a KV cache,
 *    and `StreamingDecoder` turns tokens into text.
 * 6. **Publishing.** `pushToHub()` puts a model on the Hugging Face Hub, with a card made from its run.
 *
 * What holds memory or threads ends with `using` or `await using`. In a program outside of this folder, `deno.json` needs
 * `"imports": { "@nanovlm/webgpu": "../nanovlm/mod.ts" }` with the path to this file. Where JSR cannot be reached it also needs
 * `"links": ["../nanovlm/vendor/std/cli"]`: Deno does not take the links of this folder's own deno.json then.
 *
 * @example A trained model answers
 * ```ts
 * import { load } from "@nanovlm/webgpu";
 *
 * using model = await load("checkpoints/quickstart"); // or "lusxvr/nanoVLM-222M" of the Hugging Face Hub
 * console.log(await model.ask("photo.jpg", "what colour is it?"));
 *
 * const { text, confidence } = await model.answer("photo.jpg", "what shape is it?", { maxNewTokens: 5 });
 * console.log(text, confidence);
 * ```
 *
 * @example The same from its parts
 * ```ts
 * import { Device, fromPretrained, Generator, ImageProcessor, tokenizerFor, vqaPrompt } from "@nanovlm/webgpu";
 *
 * using device = await Device.open();
 * using model = await fromPretrained(device, "checkpoints/quickstart");
 * const tokenizer = await tokenizerFor(model.config.lm_tokenizer);
 * const processor = new ImageProcessor({ ...model.config, image_alpha: "white" });
 * const ids = tokenizer.encode(vqaPrompt("what colour is it?"));
 * using generator = new Generator(model);
 * const [answer = []] = await generator.generate({
 *   size: 1,
 *   length: ids.length,
 *   inputIds: Int32Array.from(ids),
 *   attentionMask: new Int32Array(ids.length).fill(1),
 *   images: await processor.process(await Deno.readFile("photo.jpg"), "photo.jpg"),
 * }, { maxNewTokens: 20, mode: "greedy", eosTokenId: tokenizer.eosTokenId });
 * console.log(tokenizer.decode(answer));
 * ```
 *
 * @example One training step from random weights
 * ```ts
 * import { AdamW, Device, Loader, presets, Trainer, VisionLanguageModel } from "@nanovlm/webgpu";
 *
 * const { vlm, train } = presets.quickstart;
 * using loader = await Loader.open({
 *   dataset: "shapes",
 *   split: "train",
 *   questionsPerRow: "all",
 *   tokenizer: vlm.lm_tokenizer,
 *   maxLength: vlm.lm_max_length,
 *   paddingSide: vlm.lm_padding_side,
 *   pictures: vlm,
 *   batchSize: 8,
 *   seed: 0,
 * });
 * using device = await Device.open();
 * using model = await VisionLanguageModel.fromScratch(device, vlm, {
 *   training: true,
 *   seed: 0,
 *   initialization: train.initialization,
 * });
 * using optimizer = new AdamW(model.store);
 * await using trainer = new Trainer(model, optimizer);
 * await trainer.step(await loader.next(), { projector: 1e-3, backbones: 1e-3 });
 * const [{ loss } = {}] = await trainer.results();
 * console.log(loss);
 * ```
 *
 * @module
 */

// 1. Data
export {
  type Dataset,
  openDataset,
  type Row,
  type Sample,
  Samples,
  type Turn,
} from "./data/datasets.ts";
export type { DatasetOptions, Split } from "./data/datasets.ts";
export { HubError, type HubOptions, openRepository, parseRepositoryName } from "./data/hub.ts";
export type { DownloadProgress, RangeReader, Repository } from "./data/hub.ts";
export type { RepositoryFile, RepositoryName } from "./data/hub.ts";
export { decodeImage, decodePlain, type RgbImage } from "./data/image.ts";
export { ImageProcessor, mmstarPrompt, vqaPrompt } from "./data/processor.ts";
export type { Normalization, PictureSettings } from "./data/processor.ts";
export { byteTokenizer, loadTokenizer, StreamingDecoder, tokenizerFor } from "./data/tokenizer.ts";
export type { Tokenizer } from "./data/tokenizer.ts";
export { batches, MMStarCollator, VQACollator } from "./data/collator.ts";
export type { Batch, Collator, ReadySample } from "./data/collator.ts";
export { Loader, type LoaderOptions, type LoaderState, type SkippedRow } from "./data/loader.ts";

// 2. Model
export {
  Device,
  DeviceError,
  type DeviceOptions,
  OutOfMemoryError,
} from "./shaders/runtime/device.ts";
export { type Config, presets, type TrainConfig, type VLMConfig } from "./model/config.ts";
export { applySettings, parseVLMConfig } from "./model/config_file.ts";
export { type ModelOptions, VisionLanguageModel } from "./model/vision_language_model.ts";
export { fromPretrained, type FromPretrainedOptions } from "./commands/checkpoints.ts";
export { CheckpointError } from "./model/checkpoint.ts";
export { type Backbone, loadLanguageBackbone, loadVisionBackbone } from "./model/backbones.ts";
export { chooseDtype, type DtypeChoice, preferredDtype } from "./model/precision.ts";
export type { Activation } from "./shaders/runtime/tensor.ts";
export type { HostBatch } from "./model/inputs.ts";

// 3. Training
export { AdamW, type LearningRates } from "./model/optimizer.ts";
export { getLr } from "./model/schedule.ts";
export { type Choice, choosePlan, type MemoryRequest } from "./model/plan_choice.ts";
export { planTraining, type TrainingPlan } from "./model/training_plan.ts";
export { type StepResult, Trainer, type TrainerOptions } from "./model/training_step.ts";
export { train, type TrainingReport } from "./train.ts";
export { type SavedRun, savedRun, type TrainerState } from "./model/trainer_state.ts";
export { type Stop, StopSignals } from "./runs/stop_signals.ts";
export { Display, type Output } from "./runs/display.ts";
export type { Example } from "./runs/examples.ts";
export type { Score } from "./runs/score.ts";
export type { TrainingRequest } from "./commands/training_config.ts";

// 4. Evaluation
export { matchesMultipleChoice } from "./data/multiple_choice.ts";
export { type BatchLoss, LossMeter } from "./model/evaluation_step.ts";
export { type Answer, evaluate, type EvaluateOptions, type Evaluation } from "./eval.ts";
export type { Subject, Task } from "./eval.ts";

// 5. Answers
export { type AskOptions, Assistant, load, type LoadOptions } from "./commands/assistant.ts";
export { readPicture, type Reply } from "./commands/assistant.ts";
export {
  confidenceOf,
  type GenerateOptions,
  Generator,
  type SampleMode,
} from "./model/generator.ts";

// 6. Publishing
export { type PushOptions, type PushReport, pushToHub } from "./push.ts";
export type { UploadProgress } from "./data/hub/upload.ts";
