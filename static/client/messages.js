/**
 * @file What page and server say on `/sonic`: types only, no code.
 *
 * A text frame is one JSON object with a `type`; a binary frame is raw PCM16 little-endian mono,
 * 16 kHz to the server and 24 kHz to the page. The server's side of this page is
 * `crates/wire`; fields it does not always send are optional here, because older servers
 * speak the same contract.
 */

/** @typedef {'user' | 'assistant'} Role */

/** @typedef {{ version: string, buildTime?: string, name: string }} Version */

/**
 * @typedef {object} Transcript
 * @property {'transcript'} type
 * @property {string} [id] lines with the same id are one line that grows or is corrected
 * @property {Role} role
 * @property {string} text the whole line so far
 * @property {boolean} isFinal it will not change any more
 * @property {boolean} [isStreaming] the assistant is still saying it
 * @property {boolean} [interrupted] the caller cut it short
 * @property {string} [timestamp] ISO 8601
 */

/**
 * @typedef {object} TransferToAgent
 * @property {'transferToAgent'} type
 * @property {string} reason
 * @property {string} [summary]
 * @property {Record<string, unknown>} [attributes]
 */

/** @typedef {{ type: 'tool_use', toolName: string, toolInput: unknown, toolUseId: string }} ToolUse */
/** @typedef {{ type: 'tool_result', toolName: string, toolResult: unknown, toolUseId: string }} ToolResult */

/**
 * @typedef {{ seq?: number } & (
 *     { type: 'connected', sessionId: string, message: string, version?: Version,
 *       hasCredentials?: boolean, backend?: string, resumeToken?: string, resumed?: boolean }
 *   | { type: 'session_start', sessionId: string, timestamp: string }
 *   | Transcript
 *   | { type: 'transcriptCancelled', role: Role }
 *   | { type: 'interruption' }
 *   | ToolUse
 *   | ToolResult
 *   | TransferToAgent
 *   | { type: 'workflow_update', currentStep: string }
 *   | { type: 'workflowStatus', data: { activeStepId: string, workflowId: string, checks: Record<string, boolean> } }
 *   | { type: 'usage', data: unknown }
 *   | { type: 'token_usage', inputTokens: number, outputTokens: number, cost?: number, currency?: string }
 *   | { type: 'metadata', data: { detectedLanguage?: string, languageConfidence?: number, traceId?: string } }
 *   | { type: 'latency_update', ttft_ms: number, latency_ms: number }
 *   | { type: 'pong' }
 *   | { type: 'reconnecting' | 'reconnected', message: string }
 *   | { type: 'draining', deadlineMs?: number }
 *   | { type: 'drainCancelled' }
 *   | { type: 'error', message: string, code?: string, fatal?: boolean, retryAfterSeconds?: number }
 * )} ServerMessage
 */

/**
 * The settings of a call. Keys that are left out are the server's choice.
 *
 * @typedef {object} SessionConfig
 * @property {string} [brainMode]
 * @property {string} [voiceId]
 * @property {string} [personaId]
 * @property {string[]} [selectedTools] none of them when empty
 * @property {string[]} [linkedWorkflows]
 * @property {'HIGH' | 'MEDIUM' | 'LOW'} [endpointingSensitivity] how soon a pause ends a turn
 * @property {boolean} [inactivityEnabled] whether a silent caller is asked after
 * @property {string} [userTimezone] IANA name
 */

/**
 * @typedef {{ type: 'sessionConfig', config: SessionConfig }
 *   | { type: 'textInput', text: string }
 *   | { type: 'session_feedback', score: number, comment?: string }
 *   | { type: 'ping' }
 * } ClientMessage
 */

export {};
