// The AWS SDK for JavaScript transcribes at a running emulator: speech that the stand-in for Nova
// Sonic said itself, over h2c and over TLS. See conversation.test.js for the variables; the emulator
// is started with `--utterance "the caller said this"`.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  StartStreamTranscriptionCommand,
  TranscribeStreamingClient,
} from "@aws-sdk/client-transcribe-streaming";

import { CREDENTIALS, converse, makeClient } from "./support.js";

const WAYS = [
  ["h2c", process.env.EMULATOR_URL],
  ["TLS", process.env.EMULATOR_TLS_URL],
];
const TIMEOUT = { timeout: 30_000 };
const RATE = 24_000;

/** A tenth of a second at a time, and a second of silence at the end. */
async function* audio(pcm) {
  const whole = Buffer.concat([pcm, Buffer.alloc(RATE * 2)]);
  for (let at = 0; at < whole.length; at += RATE / 5) {
    yield { AudioEvent: { AudioChunk: whole.subarray(at, at + RATE / 5) } };
  }
}

async function transcribe(endpoint, pcm, change = {}) {
  const client = new TranscribeStreamingClient({
    endpoint,
    region: "us-east-1",
    credentials: CREDENTIALS,
    maxAttempts: 1,
  });
  try {
    const answer = await client.send(
      new StartStreamTranscriptionCommand({
        LanguageCode: "en-GB",
        MediaEncoding: "pcm",
        MediaSampleRateHertz: RATE,
        AudioStream: audio(pcm),
        ...change,
      }),
    );
    const results = [];
    for await (const event of answer.TranscriptResultStream) {
      results.push(...(event.TranscriptEvent?.Transcript?.Results ?? []));
    }
    return { answer, results };
  } finally {
    client.destroy();
  }
}

for (const [way, endpoint] of WAYS) {
  const skip =
    !endpoint && process.env.EMULATOR_REQUIRED !== "1" ? `no address for ${way} given` : false;

  test(`speech becomes partial and final results over ${way}`, { skip, ...TIMEOUT }, async () => {
    const client = makeClient(endpoint);
    const { audio: speech } = await converse(client).finally(() => client.destroy());
    const { answer, results } = await transcribe(endpoint, speech);
    assert.equal(answer.LanguageCode, "en-GB");
    assert.ok(answer.SessionId);
    const [partial, final] = results;
    assert.equal(partial.IsPartial, true);
    assert.equal(final.IsPartial, false);
    assert.equal(final.ResultId, partial.ResultId);
    assert.equal(final.Alternatives[0].Transcript, "the caller said this");
    assert.ok(final.EndTime > final.StartTime);
    assert.equal(final.Alternatives[0].Items.length, 4);
  });

  test(`a wrong request is refused by name over ${way}`, { skip, ...TIMEOUT }, async () => {
    const wrong = transcribe(endpoint, Buffer.alloc(4_800), { MediaSampleRateHertz: 4_000 });
    await assert.rejects(wrong, (error) => {
      assert.equal(error.name, "BadRequestException");
      assert.match(error.message, /sample rate/);
      return true;
    });
  });
}
