/**
 * The names of all metrics, in one place: those that the program publishes, those of AWS.
 *
 * Scaling, alarms and the dashboard take them from here and from nowhere else.
 */
import { aws_cloudwatch as cw, Duration } from "aws-cdk-lib";

import type { Parameters } from "./parameters.ts";

/** Namespace of the program's metrics (CLOUDWATCH_NAMESPACE). */
export const NAMESPACE = "VoiceS2S";

/** What every task publishes once a minute, zeros included. */
export const NAMES = {
  /** Open sockets. Not told by a task that drains, since the fleet grows and shrinks by it. */
  connections: "ActiveWebSocketConnections",
  /** Calls in progress, those included that wait for their client; also of tasks that drain. */
  calls: "ActiveCalls",
  /** Per cent of MAX_CALLS; with METRICS_HIGH_RESOLUTION every ten seconds. Not while draining. */
  capacity: "CapacityUsed",
  /** Calls that began. */
  started: "CallsStarted",
  /** Calls that were refused before the upgrade. */
  refused: "CallsRefused",
  /** Calls that ended without anybody's having wanted it. */
  dropped: "CallsDropped",
  /** Streams to Nova Sonic that were replaced in time. */
  renewals: "StreamRenewals",
  /** Faults, by dimension Source. */
  errors: "Errors",
  /** Seconds from the end of a caller's speech to the first audio, with percentiles. */
  firstAudio: "TurnFirstAudio",
} as const;

/** Values of dimension Source of the metric Errors. */
export const SOURCES = ["client", "sonic", "transcribe", "tool", "ours"] as const;

type Name = keyof typeof NAMES;

/** The program's metrics, as dimensions tell this stack's from another's. */
export class Metrics {
  readonly dimensions: Record<string, string>;

  constructor(given: Parameters) {
    this.dimensions = { Environment: given.environment, Service: given.serviceName };
  }

  /** One metric of the program. */
  of(
    name: Name,
    statistic: string,
    period = Duration.minutes(1),
    more: Record<string, string> = {},
  ): cw.Metric {
    return new cw.Metric({
      namespace: NAMESPACE,
      metricName: NAMES[name],
      dimensionsMap: { ...this.dimensions, ...more },
      statistic,
      period,
    });
  }

  /** Faults of one source. */
  errorsOf(source: (typeof SOURCES)[number], period = Duration.minutes(1)): cw.Metric {
    return this.of("errors", "Sum", period, { Source: source }).with({ label: source });
  }

  /** Dimensions as raw CloudFormation wants them. */
  rawDimensions(): { name: string; value: string }[] {
    return Object.entries(this.dimensions).map(([name, value]) => ({ name, value }));
  }
}
