// What both tests share: a client pointed at the emulator, and one conversation by typed text.
//
// Not a library of Nova Sonic events; only as much of the protocol as a newcomer would write
// with the SDK at hand.

import { randomUUID } from "node:crypto";

import {
  BedrockRuntimeClient,
  InvokeModelWithBidirectionalStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

/** The emulator's known test key pair; no secret. */
export const CREDENTIALS = {
  accessKeyId: process.env.EMULATOR_ACCESS_KEY_ID ?? "AKIAEMULATOREXAMPLE1",
  secretAccessKey:
    process.env.EMULATOR_SECRET_ACCESS_KEY ?? "emulator/secret/for/tests/only/0123456789",
};

export function makeClient(endpoint, credentials = {}) {
  return new BedrockRuntimeClient({
    endpoint,
    region: "us-east-1",
    credentials: { ...CREDENTIALS, ...credentials },
    maxAttempts: 1,
  });
}

/** Input of a stream: events are pushed, the SDK pulls them. */
export class Input {
  #queue = [];
  #wake = null;
  #ended = false;

  push(name, body) {
    const json = JSON.stringify({ event: { [name]: body } });
    this.#queue.push({ chunk: { bytes: new TextEncoder().encode(json) } });
    this.#wake?.();
  }

  end() {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#queue.length > 0) yield this.#queue.shift();
      if (this.#ended) return;
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/**
 * Opens a stream. What it promises comes with the first output event, not with the response head:
 * this SDK looks at the first event before it hands the stream over. So the first turn has to be
 * pushed before it is awaited.
 */
export function open(client, input, modelId = "amazon.nova-2-sonic-v1:0") {
  return client.send(new InvokeModelWithBidirectionalStreamCommand({ modelId, body: input }));
}

/** Events up to and including the SYSTEM block. */
export function pushOpening(input, promptName) {
  input.push("sessionStart", {
    inferenceConfiguration: { maxTokens: 1024, topP: 0.9, temperature: 0.7 },
  });
  pushPrompt(input, promptName);
  pushText(input, promptName, "SYSTEM", false, "You are a friendly assistant.");
}

export function pushPrompt(input, promptName) {
  input.push("promptStart", {
    promptName,
    textOutputConfiguration: { mediaType: "text/plain" },
    audioOutputConfiguration: {
      mediaType: "audio/lpcm",
      sampleRateHertz: 24000,
      sampleSizeBits: 16,
      channelCount: 1,
      voiceId: "matthew",
      encoding: "base64",
      audioType: "SPEECH",
    },
  });
}

export function pushText(input, promptName, role, interactive, content) {
  const contentName = randomUUID();
  input.push("contentStart", {
    promptName,
    contentName,
    type: "TEXT",
    interactive,
    role,
    textInputConfiguration: { mediaType: "text/plain" },
  });
  input.push("textInput", { promptName, contentName, content });
  input.push("contentEnd", { promptName, contentName });
}

/** Opens the microphone and feeds `milliseconds` of silence; typed text needs 68 ms of audio. */
export function pushSilence(input, promptName, contentName, milliseconds) {
  input.push("contentStart", {
    promptName,
    contentName,
    type: "AUDIO",
    interactive: true,
    role: "USER",
    audioInputConfiguration: {
      mediaType: "audio/lpcm",
      sampleRateHertz: 16000,
      sampleSizeBits: 16,
      channelCount: 1,
      audioType: "SPEECH",
      encoding: "base64",
    },
  });
  for (let at = 0; at < milliseconds; at += 32) {
    const content = Buffer.alloc(1024).toString("base64");
    input.push("audioInput", { promptName, contentName, content });
  }
}

/**
 * Holds a conversation of one typed turn and ends it in order. Gives back what the model said:
 * the names of all events, its texts, its audio as PCM16 at 24 kHz.
 */
export async function converse(client) {
  const promptName = randomUUID();
  const audioName = randomUUID();
  const input = new Input();
  pushOpening(input, promptName);
  pushSilence(input, promptName, audioName, 128);
  pushText(input, promptName, "USER", true, "Hello");
  const response = await open(client, input);

  const heard = { status: response.$metadata.httpStatusCode, names: [], texts: [], audio: [] };
  let closing = false;
  for await (const { chunk } of response.body) {
    const { event } = JSON.parse(new TextDecoder().decode(chunk.bytes));
    const [[name, body]] = Object.entries(event);
    heard.names.push(name);
    if (name === "textOutput") heard.texts.push({ role: body.role, content: body.content });
    if (name === "audioOutput") heard.audio.push(Buffer.from(body.content, "base64"));
    if (name === "contentEnd" && body.type === "AUDIO" && body.stopReason === "END_TURN") {
      if (closing) continue;
      closing = true;
      input.push("contentEnd", { promptName, contentName: audioName });
      input.push("promptEnd", { promptName });
      input.push("sessionEnd", {});
      input.end();
    }
  }
  return { ...heard, audio: Buffer.concat(heard.audio) };
}
