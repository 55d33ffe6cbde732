/**
 * @file Errors in words: what happened and what to do about it.
 *
 * Codes come from three places: `error` messages of the server (`crates/wire` and the faults
 * of `crates/call`), the close codes of the WebSocket, and the names of `getUserMedia` errors.
 */

/**
 * @typedef {object} Trouble
 * @property {string} code stable word, for bug reports
 * @property {string} title what happened
 * @property {string} help what to do
 * @property {'error' | 'note'} tone
 */

/** @type {Record<string, [title: string, help: string]>} */
const SERVER = {
  access_denied: [
    'The server may not use Amazon Nova Sonic',
    'Its AWS credentials are missing, expired or lack the permission to invoke the model. Check them where the server runs.',
  ],
  not_found: [
    'The model does not exist in this region',
    'Check NOVA_SONIC_MODEL_ID and NOVA_AWS_REGION where the server runs.',
  ],
  throttled: ['Amazon Nova Sonic is busy', 'The account has reached its quota. Wait a moment and call again.'],
  unavailable: ['Amazon Nova Sonic is not available', 'The service asks for patience. Wait a moment and call again.'],
  service: ['Amazon Nova Sonic had a problem', 'The server tries again by itself. If the call ends, start a new one.'],
  content_filter: ['The content filter stopped this answer', 'Say it in another way.'],
  model_timeout: ['The model session reached its time limit', 'The server opens another one; go on talking.'],
  transport: ['The server lost Amazon Nova Sonic', 'The network between them broke. The server tries again by itself.'],
  open_timeout: ['Amazon Nova Sonic did not answer in time', 'Check the network of the server, then call again.'],
  invalid: ['Amazon Nova Sonic refused a message of the server', 'This is a fault of the server. Its log says more.'],
  odd_audio_length: ['A piece of audio was broken', 'The call goes on. If it happens again, reload the page.'],
  audio_frame_too_large: ['A piece of audio was too large', 'The call goes on. If it happens again, reload the page.'],
  message_too_large: ['That message is too long', 'Send it in smaller parts.'],
  malformed_message: ['The server did not understand the page', 'Reload the page: it may be older than the server.'],
  unknown_type: ['The server does not know this message', 'Reload the page: it may be older than the server.'],
  resume_failed: ['The earlier call is over', 'The connection was lost for too long. This is a new call.'],
  resume_gap: ['Some of the transcript is missing', 'It was lost with the connection. The call goes on.'],
  content_filtered: ['The content filter stopped this question', 'Say it in another way.'],
  rate_limited: ['Too many messages at once', 'The server skipped some. Send them more slowly.'],
  too_many_texts: ['Too many messages wait for the assistant', 'Wait for its answer, then go on.'],
  tools_unavailable: ['The assistant cannot look things up any more', 'The call goes on. For a fresh start, hang up and call again.'],
  transcript_unavailable: ['The transcript stops here', 'The call goes on; what is said is no longer shown.'],
  transfer_unavailable: ['The assistant cannot put you through to a person', 'The call goes on. To try once more, hang up and call again.'],
  unknown_persona: ['The server does not know this persona', 'It keeps the one it had. Reload the page to see which there are.'],
  unknown_channel: ['The server does not know this channel', 'The call goes on as one from the web.'],
  unknown_voice: ['The server does not know this voice', 'It keeps the one it had. Reload the page to see which there are.'],
  protocol_violation: ['The server ended the call: the page broke the rules', 'Reload the page and call again.'],
  busy: ['The server is full', 'Call again in a moment.'],
  internal_error: ['Something broke in the server', 'Call again. Its log says more.'],
  unsupported_brain_mode: ['This mode is not available', 'The call goes on with speech to speech.'],
};

/** @type {Record<string, [title: string, help: string]>} */
const MICROPHONE = {
  NotAllowedError: [
    'No permission for the microphone',
    'You can type, and the assistant still speaks. To talk, allow the microphone in the address bar and press “Use mic”.',
  ],
  NotFoundError: [
    'No microphone found',
    'You can type, and the assistant still speaks. To talk, plug in a microphone and press “Use mic”.',
  ],
  NotReadableError: [
    'The microphone is in use elsewhere',
    'You can type, and the assistant still speaks. Close the other program and press “Use mic”.',
  ],
  Lost: [
    'The microphone is gone',
    'It was unplugged, or its permission was withdrawn. Go on by typing, or press “Use mic”.',
  ],
  InsecureContext: [
    'The browser gives no microphone to this address',
    'It needs https:// or localhost. You can type, and the assistant still speaks.',
  ],
};

/** @type {Record<number, [title: string, help: string]>} */
const CLOSED = {
  1001: ['The server is shutting down', 'Call again in a moment.'],
  1008: ['The server refused the call', 'Reload the page and call again.'],
  1009: ['A message was too large for the server', 'Reload the page and call again.'],
  1011: ['The server had a problem', 'Call again. Its log says more.'],
  1012: ['The server restarts', 'Call again in a moment.'],
  1013: ['The server is full', 'Call again in a moment.'],
};

/** @type {Record<string, [title: string, help: string]>} */
const ACCESS = {
  credential_needed: ['This server wants to know who you are', 'Enter an API key to go on.'],
  credential_refused: ['The server does not accept this key', 'It may have expired or been withdrawn. Enter another one.'],
  ticket_refused: ['The server lets nobody in now', 'This key may not hold calls, or holds too many. Call again in a moment.'],
};

/** These pass by themselves, unless the server has given up. */
const PASSING = new Set(['service', 'content_filter', 'model_timeout', 'transport', 'open_timeout']);

/**
 * @param {string | undefined} code
 * @param {string} message the server's own words, used when the code is new
 * @param {boolean} [fatal] whether the call is over
 * @returns {Trouble}
 */
export function describeServerError(code = 'error', message, fatal = false) {
  const [title, help] = SERVER[code] ?? ['The server reports a problem', message];
  const over = fatal && PASSING.has(code);
  return { code, title, help: over ? 'The call is over. Call again in a moment.' : help, tone: 'error' };
}

/**
 * The server is full, and says when it may have a place.
 *
 * @param {number | undefined} seconds
 * @returns {Trouble}
 */
export function describeBusy(seconds) {
  const trouble = describeServerError('busy', '');
  if (seconds) trouble.help = `Call again in ${Math.ceil(seconds)} s.`;
  return trouble;
}

/**
 * The client was not let in.
 *
 * @param {unknown} error an `AccessError`, or what `fetch` threw
 * @returns {Trouble}
 */
export function describeRefusal(error) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const words = ACCESS[code];
  return words ? { code, title: words[0], help: words[1], tone: 'error' } : describeNoCall('unreachable');
}

/**
 * @param {unknown} error what `getUserMedia` threw
 * @returns {Trouble}
 */
export function describeMicrophoneError(error) {
  const name = error instanceof Error ? error.name : 'Error';
  const [title, help] = MICROPHONE[name] ?? [
    'The microphone could not be opened',
    'You can type, and the assistant still speaks.',
  ];
  return { code: name, title, help, tone: 'note' };
}

/**
 * How a call ended that the caller did not end.
 *
 * @param {number} code close code of the WebSocket
 * @param {string} reason
 * @returns {Trouble | null} `null`: an ordinary end
 */
export function describeClose(code, reason) {
  if (code === 1000 || code === 1005) {
    if (!/inactivity/i.test(reason)) return null;
    return {
      code: 'inactivity',
      title: 'The call ended because nobody spoke',
      help: 'Call again whenever you like.',
      tone: 'note',
    };
  }
  const [title, help] = CLOSED[code] ?? [
    'The connection to the server is gone',
    'Check the network, then call again.',
  ];
  return { code: `close ${code}`, title, help: reason ? `${help} (${reason})` : help, tone: 'error' };
}

/**
 * The call never came about.
 *
 * @param {'unreachable' | 'not-ready'} what
 * @returns {Trouble}
 */
export function describeNoCall(what) {
  return what === 'not-ready'
    ? {
        code: 'not ready',
        title: 'The server takes no new calls',
        help: 'It is full or about to shut down. Call again in a moment.',
        tone: 'error',
      }
    : {
        code: 'unreachable',
        title: 'The server cannot be reached',
        help: 'Check that it runs and that your network allows WebSockets, then call again.',
        tone: 'error',
      };
}

/**
 * The server cannot use AWS as it is configured; known before any call.
 *
 * @param {string | undefined} error
 * @returns {Trouble}
 */
export function describeStatus(error) {
  return {
    code: 'aws',
    title: 'The server cannot use Amazon Nova Sonic yet',
    help: error ?? 'Check its AWS credentials and region. Its log says more.',
    tone: 'error',
  };
}
