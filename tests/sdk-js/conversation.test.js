// The AWS SDK for JavaScript against a running emulator, over h2c and over TLS.
//
//   EMULATOR_URL         http://127.0.0.1:PORT
//   EMULATOR_TLS_URL     https://127.0.0.1:PORT
//   NODE_EXTRA_CA_CERTS  file with the emulator's CA; read by Node at its start
//
// A missing address skips its tests, except under EMULATOR_REQUIRED=1.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { Input, converse, makeClient, open, pushOpening, pushPrompt } from "./support.js";

const WAYS = [
  ["h2c", process.env.EMULATOR_URL],
  ["TLS", process.env.EMULATOR_TLS_URL],
];
const TIMEOUT = { timeout: 30_000 };

function loudest(pcm) {
  let peak = 0;
  for (let at = 0; at + 1 < pcm.length; at += 2) {
    peak = Math.max(peak, Math.abs(pcm.readInt16LE(at)));
  }
  return peak;
}

for (const [way, endpoint] of WAYS) {
  const skip =
    !endpoint && process.env.EMULATOR_REQUIRED !== "1" ? `no address for ${way} given` : false;

  test(`a typed turn is answered in words and aloud over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint);
    try {
      const heard = await converse(client);
      assert.equal(heard.status, 200);
      assert.equal(heard.names.filter((name) => name === "completionStart").length, 1);
      assert.equal(heard.names.at(-1), "completionEnd");
      const said = heard.texts.filter(({ role }) => role === "ASSISTANT");
      assert.ok(said.length > 0, "the model said nothing");
      assert.ok(said.every(({ content }) => content.trim() !== ""));
      assert.ok(heard.audio.length > 24_000, `${heard.audio.length} bytes of audio`);
      assert.equal(heard.audio.length % 2, 0);
      assert.ok(loudest(heard.audio) > 500, "the audio is silence");
    } finally {
      client.destroy();
    }
  });

  test(`three streams at once each get their answer over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint);
    try {
      const all = await Promise.all([converse(client), converse(client), converse(client)]);
      for (const heard of all) assert.ok(heard.audio.length > 24_000);
    } finally {
      client.destroy();
    }
  });

  test(`a wrong secret is refused over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint, { secretAccessKey: "wrong" });
    const input = new Input();
    pushOpening(input, randomUUID());
    try {
      await assert.rejects(open(client, input), (error) => {
        assert.equal(error.name, "InvalidSignatureException");
        assert.equal(error.$metadata.httpStatusCode, 403);
        return true;
      });
    } finally {
      input.end();
      client.destroy();
    }
  });

  test(`an unknown model is not found over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint);
    const input = new Input();
    pushOpening(input, randomUUID());
    try {
      await assert.rejects(open(client, input, "amazon.nova-9-sonic-v1:0"), {
        name: "ResourceNotFoundException",
      });
    } finally {
      input.end();
      client.destroy();
    }
  });

  test(`a second prompt ends the stream with an exception over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint);
    const input = new Input();
    const promptName = randomUUID();
    pushOpening(input, promptName);
    pushPrompt(input, promptName);
    try {
      // The exception is the first thing on the stream: it comes out of either step.
      const read = async () => {
        const response = await open(client, input);
        for await (const _ of response.body);
      };
      await assert.rejects(read, { name: "ValidationException", message: /Duplicate prompt name/ });
    } finally {
      input.end();
      client.destroy();
    }
  });
}
