/**
 * The contact flows, in a form that can be read: what is said and done, and where it leads.
 *
 * `npm run flows` writes `flow.json` and `after-hours.json`, which Amazon Connect takes once their
 * placeholders are filled in (`deploy/flow`). A test fails when a file is not what this makes; the
 * tests of the program check both files as Connect would, and run them with a caller.
 */
import { writeFileSync } from "node:fs";

/** One block: its name, what it is, and where it leads. */
interface Action {
  Identifier: string;
  Type: string;
  Parameters: Record<string, unknown>;
  Transitions: object;
}

type Ways = Record<string, string>;

const action = (
  id: string,
  type: string,
  parameters: Record<string, unknown>,
  next: string,
  errors: Ways = {},
  conditions: Ways = {},
): Action => ({
  Identifier: id,
  Type: type,
  Parameters: parameters,
  Transitions: {
    NextAction: next,
    Errors: Object.entries(errors).map(([ErrorType, NextAction]) => ({ NextAction, ErrorType })),
    Conditions: Object.entries(conditions).map(([operand, NextAction]) => ({
      NextAction,
      Condition: { Operator: "Equals", Operands: [operand] },
    })),
  },
});

/** Whatever goes wrong. */
const any = (to: string): Ways => ({ NoMatchingError: to });

const say = (id: string, text: string, next: string, otherwise = next) =>
  action(id, "MessageParticipant", { Text: text }, next, any(otherwise));

/** What the last function has answered as audio. */
const play = (id: string, next: string, otherwise: string) =>
  action(
    id,
    "MessageParticipant",
    { Media: { Uri: "$.External.responseAudioUrl", SourceType: "S3", MediaType: "Audio" } },
    next,
    any(otherwise),
  );

const invoke = (id: string, arn: string, parameters: Ways, next: string) =>
  action(
    id,
    "InvokeLambdaFunction",
    {
      LambdaFunctionARN: arn,
      InvocationTimeLimitSeconds: "8",
      InvocationType: "SYNCHRONOUS",
      LambdaInvocationAttributes: parameters,
      ResponseValidation: { ResponseType: "STRING_MAP" },
    },
    next,
    any("sorry"),
  );

const stream = (id: string, state: "Enabled" | "Disabled", next: string, otherwise = next) =>
  action(
    id,
    "UpdateContactMediaStreamingBehavior",
    {
      MediaStreamingState: state,
      MediaStreamType: "Audio",
      // The caller alone: half of the bytes, and nothing of the assistant's in what it hears.
      Participants: [{ ParticipantType: "Customer", MediaDirections: ["From"] }],
    },
    next,
    any(otherwise),
  );

const loop = (id: string, count: number, on: string, done: string) =>
  action(
    id,
    "Loop",
    { LoopCount: String(count) },
    "sorry",
    {},
    { ContinueLooping: on, DoneLooping: done },
  );

const hangUp: Action = {
  Identifier: "hang-up",
  Type: "DisconnectParticipant",
  Parameters: {},
  Transitions: {},
};

const begin = (next: string) => [
  action("log-on", "UpdateFlowLoggingBehavior", { FlowLoggingBehavior: "Enabled" }, next),
];

/** The conversation. It ends at `tell-agent`, where somebody wants a human, or hangs up. */
const conversation = [
  action(
    "record",
    "UpdateContactRecordingBehavior",
    {
      RecordingBehavior: {
        RecordedParticipants: ["Agent", "Customer"],
        IVRRecordingBehavior: "Enabled",
      },
    },
    "stream-on",
  ),
  // Before the function, which would not know the stream otherwise.
  stream("stream-on", "Enabled", "start-bot", "sorry"),
  invoke("start-bot", "${StartBotSessionArn}", { op: "start" }, "route"),
  action(
    "route",
    "Compare",
    { ComparisonValue: "$.External.intent" },
    "sorry",
    { NoMatchingCondition: "sorry" },
    {
      continue: "play",
      listen: "breathe",
      transfer: "play-transfer",
      end: "play-end",
    },
  ),
  play("play", "turn-loop", "play-text"),
  say("play-text", "$.External.responseText", "turn-loop", "sorry"),
  // A prompt of nothing, which begins the 20 seconds anew that functions may take without one.
  action(
    "breathe",
    "MessageParticipant",
    { SSML: '<speak><break time="60ms"/></speak>' },
    "turn-loop",
    any("sorry"),
  ),
  // A loop counts to 100 at most.
  loop("turn-loop", 100, "turn", "long-loop"),
  loop("long-loop", 20, "turn-loop", "sorry"),
  invoke(
    "turn",
    "${ProcessBotTurnArn}",
    {
      op: "turn",
      sessionId: "$.External.sessionId",
      owner: "$.External.owner",
      after: "$.External.turnKey",
      resume: "$.External.resume",
    },
    "route",
  ),
  play("play-transfer", "tell-agent", "say-transfer"),
  say("say-transfer", "$.External.responseText", "tell-agent"),
  action(
    "tell-agent",
    "UpdateContactAttributes",
    {
      Attributes: {
        handoverReason: "$.External.reason",
        handoverSummary: "$.External.summary",
      },
      TargetContact: "Current",
    },
    "stream-off-queue",
    any("stream-off-queue"),
  ),
  play("play-end", "stream-off-end", "say-end"),
  say("say-end", "$.External.responseText", "stream-off-end", "goodbye"),
  say("goodbye", "Thank you for calling. Goodbye.", "stream-off-end"),
  stream("stream-off-end", "Disabled", "hang-up"),
  hangUp,
];

const queue = [
  action(
    "set-queue",
    "UpdateContactTargetQueue",
    { QueueId: "${QueueArn}" },
    "to-queue",
    any("busy"),
  ),
  action("to-queue", "TransferContactToQueue", {}, "busy", {
    QueueAtCapacity: "busy",
    ...any("busy"),
  }),
  say("busy", "All of our agents are busy. Please call again later.", "hang-up"),
];

/** The assistant answers every call, and a human takes over when it is asked for. */
const always = [
  ...begin("record"),
  ...conversation,
  // Nobody hears the caller talk to the agent.
  stream("stream-off-queue", "Disabled", "set-queue"),
  ...queue,
  say("sorry", "I am having trouble. Let me connect you to someone.", "stream-off-queue"),
];

/**
 * While humans are there, a call goes to them at once; after hours the assistant answers, and who
 * asks for a human is told when there will be one. What was wanted stays on the contact.
 */
const afterHours = [
  ...begin("hours"),
  action(
    "hours",
    "CheckHoursOfOperation",
    { HoursOfOperationId: "${HoursArn}" },
    "record",
    any("record"),
    {
      True: "set-queue",
      False: "record",
    },
  ),
  ...conversation,
  stream("stream-off-queue", "Disabled", "nobody-there"),
  say(
    "nobody-there",
    "Our colleagues are not at work now. They will find what you have told me. Goodbye.",
    "hang-up",
  ),
  ...queue,
  say("sorry", "I am having trouble. Please call again during our office hours.", "stream-off-end"),
];

/** A flow as Connect takes it, one block a line. */
function text(actions: Action[]): string {
  const blocks = actions.map((block) => `    ${JSON.stringify(block)}`);
  return [
    "{",
    '  "Version": "2019-10-30",',
    `  "StartAction": ${JSON.stringify(actions[0]!.Identifier)},`,
    '  "Metadata": {},',
    '  "Actions": [',
    blocks.join(",\n"),
    "  ]",
    "}",
    "",
  ].join("\n");
}

/** The files, by name. */
export const flows = { "flow.json": text(always), "after-hours.json": text(afterHours) };

if (process.argv[1] === import.meta.filename) {
  for (const [name, content] of Object.entries(flows)) {
    writeFileSync(new URL(name, import.meta.url), content);
  }
}
