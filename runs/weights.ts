/**
 * Where a run's first weights come from: a checkpoint, pretrained backbones, or chance.
 *
 * Between train.ts and model/. Source: the branch on resume_from_vlm_checkpoint in train() of nanoVLM v0.1, train.py.
 */
import type { HubOptions } from "../data/hub.ts";
import { pretrainedFolder } from "../data/pretrained.ts";
import { type Backbone, loadLanguageBackbone, loadVisionBackbone } from "../model/backbones.ts";
import { expectedParameters, openCheckpoint } from "../model/checkpoint.ts";
import type { Config, VLMConfig } from "../model/config.ts";
import { normalGenerator } from "../model/initialization.ts";

/** First weights. Close them, or declare them with `using`. */
export interface Weights extends Disposable {
  /** The model's configuration, with what the sources determine in its place. */
  readonly vlm: VLMConfig;
  /** What gives weights; all that none has are random. */
  readonly sources: readonly Backbone[];
}

/**
 * Opens the sources of a run's weights: folders, or names on the Hub, which are downloaded.
 *
 * @param checkpoint a model's folder; absent for a new model
 * @throws {Error} where a folder is missing
 * @throws {HubError} where the Hub cannot give one
 * @throws {CheckpointError} {SyntaxError} {TypeError} {RangeError} where one is wrong
 */
export async function openWeights(
  { vlm, train }: Config,
  checkpoint: string | undefined,
  options: HubOptions = {},
): Promise<Weights> {
  if (checkpoint !== undefined) return weights(vlm, [wholeModel(checkpoint, vlm)]);
  if (!vlm.vlm_load_backbone_weights) return weights(vlm, []);
  const visionFolder = await pretrainedFolder(vlm.vit_model_type, "backbone", options);
  const languageFolder = await pretrainedFolder(vlm.lm_model_type, "backbone", options);
  const vision = loadVisionBackbone(visionFolder, vlm);
  try {
    const normal = normalGenerator(train.seed);
    const language = loadLanguageBackbone(languageFolder, vision.config, normal);
    return weights(language.config, [vision, language]);
  } catch (error) {
    vision.close();
    throw error;
  }
}

function weights(vlm: VLMConfig, sources: readonly Backbone[]): Weights {
  return {
    vlm,
    sources,
    [Symbol.dispose]: () => {
      for (const source of sources) source.close();
    },
  };
}

/** A checkpoint as a source of all weights. */
function wholeModel(dir: string, config: VLMConfig): Backbone {
  const checkpoint = openCheckpoint(dir);
  const parameters = expectedParameters(config);
  if (JSON.stringify(parameters) !== JSON.stringify(expectedParameters(checkpoint.config))) {
    checkpoint.close();
    throw new RangeError(
      `Cannot go on from the checkpoint "${dir}": the settings ask for parameters of other shapes, expected its own; ` +
        `leave out those that change the model`,
    );
  }
  return { ...checkpoint, config, names: parameters.map(({ name }) => name) };
}
