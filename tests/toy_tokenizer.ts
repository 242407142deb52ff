/** The golden files' tokenizer: three special tokens, and every other ASCII character is its code. */
import type { Tokenizer } from "../data/tokenizer.ts";

const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;

export const TOY_TOKENIZER: Tokenizer = {
  vocabSize: 128,
  eosTokenId: 0,
  eosToken: SPECIAL[0],
  encode: (text) =>
    [...text.matchAll(/<\|(?:endoftext|im_start|im_end)\|>|[^]/g)].map(([piece]) => {
      const special = SPECIAL.findIndex((token) => token === piece);
      return special < 0 ? piece.charCodeAt(0) : special;
    }),
  decode: (ids) => String.fromCharCode(...Array.from(ids)),
};
