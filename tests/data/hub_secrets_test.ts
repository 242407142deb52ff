// Tests of data/hub/secrets.ts: no shape of a secret gets through, and ordinary messages stay as they are.
import { assert, assertEquals } from "@std/assert";
import { HubError } from "../../data/hub.ts";
import { keepSecret, masked } from "../../data/hub/secrets.ts";

const SECRET = "s3cr3tS3cr3t0123456789";

Deno.test("masked() hides every shape of a secret", () => {
  keepSecret("own/token+of=mirror");
  const texts = [
    `error sending request for url (https://cdn.example/a/b?X-Amz-Signature=${SECRET}&X-Amz-Date=1)`,
    `error sending request from 10.0.0.1:4 for https://cdn.example/a?Signature=${SECRET} (::1): reset`,
    `GET "https://cdn.example/a?filename="x y"&X-Amz-Signature=${SECRET}" failed`,
    `proxy http://user:${SECRET}@proxy.example:3128/ refused`,
    `proxy http://user:p@${SECRET}@proxy.example:3128 refused`,
    `socks5://:${SECRET}@host`,
    `https://cdn.example/a#access_token=${SECRET}`,
    `next=%2Fa%3FX-Goog-Signature%3D${SECRET}%26b`,
    `/relative?a=b&sig=${SECRET}&c`,
    `token hf_${SECRET} is invalid`,
    `hf_oauth_${SECRET}.x-y, api_org_${SECRET}`,
    `Authorization: Bearer ${SECRET}`,
    `{"authorization":"Basic ${SECRET}=="}`,
    `headers: { authorization: 'bearer ${SECRET}' }`,
    `{"access_token": "${SECRET}"}`,
    `{"token":"a\\"${SECRET}"}`,
    `the token eyJhbGciOiJIUzI1NiJ9.${SECRET}.${SECRET}`,
    `found own/token+of, ${btoa("own/token+of=mirror")}, OWN/TOKEN+OF=MIRROR`,
    `found own/token+of=mirror and ${encodeURIComponent("own/token+of=mirror")}`,
  ];
  for (const text of texts) {
    const shown = masked(text);
    assert(!shown.includes(SECRET) && !/mirror|token\+/i.test(shown), shown);
    assert(shown.length > 10, shown);
  }
  assertEquals(
    masked(`for url (https://cdn.example/a/b?X-Amz-Signature=${SECRET}): reset`),
    "for url (https://cdn.example/a/b?…): reset",
  );
});

Deno.test("masked() leaves ordinary messages alone", () => {
  const texts = [
    'Cannot use the Hub\'s token: found characters that no token has, expected one such as "hf_…".',
    "Make a token with write access at https://huggingface.co/settings/tokens and set HF_TOKEN, or run: hf auth login",
    'Cannot set "lm_tokenizer=bytes": found no key, expected one; --tokenizer=DIR, lm_vocab_size=100',
    'no such file "hf_dataset/config.json", expected hf_transfer; basic settings, authorization failed',
    'Cannot open dataset "someone/small@refs/pr/1": see http://127.0.0.1:80/datasets/someone/small.',
  ];
  for (const text of texts) assertEquals(masked(text), text);
});

Deno.test("a HubError has no secret, however it is made", () => {
  const cause = new TypeError(`for https://cdn.example/a?sig=${SECRET}`);
  const error = new HubError(`Cannot: ${cause.message}`, { cause });
  const texts = [error.message, String(error), error.stack ?? "", Deno.inspect(error)];
  for (const text of texts) assert(!text.includes(SECRET), text);
});
