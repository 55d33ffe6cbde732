/**
 * What an operator is woken for, and what takes a deployment back.
 *
 * The promises are those of docs/OPERATIONS.md. One of them is burnt too fast when the share of what
 * went wrong is many times what may go wrong in 30 days, over a long window (it matters) and over a
 * short one (it still goes on): 14.4 times over 1 h and 5 min, 6 times over 6 h and 30 min.
 */
import {
  Aws,
  aws_cloudwatch as cw,
  aws_cloudwatch_actions as actions,
  aws_sns as sns,
  Duration,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Balancer } from "./balancer.ts";
import type { EncryptionKey } from "./key.ts";
import type { Metrics } from "./metrics.ts";
import type { Parameters } from "./parameters.ts";

/** Per cent of the calls that may go wrong in 30 days. */
const BUDGET = 0.1;

const BURNS = [
  { name: "Fast", times: 14.4, long: Duration.hours(1), short: Duration.minutes(5) },
  { name: "Slow", times: 6, long: Duration.hours(6), short: Duration.minutes(30) },
];

/** Fewer calls than this in the long window prove nothing: one dropped call of ten is no trend. */
const LEAST_CALLS = 20;

interface AlarmsProps {
  given: Parameters;
  metrics: Metrics;
  balancer: Balancer;
  key: EncryptionKey;
}

/** The alarms, and where they go. */
export class Alarms extends Construct {
  /** Names of the alarms that take a deployment back. */
  readonly rollBack: string[];
  /** All of them, for the dashboard. */
  readonly all: cw.AlarmBase[] = [];

  private readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, { given, metrics, balancer, key }: AlarmsProps) {
    super(scope, id);
    this.topic = new sns.Topic(this, "Topic", {
      displayName: "Voice S2S",
      masterKey: key.key,
      enforceSSL: true,
    });
    const mail = new sns.CfnSubscription(this, "Mail", {
      topicArn: this.topic.topicArn,
      protocol: "email",
      endpoint: given.alarmEmail,
    });
    mail.cfnOptions.condition = given.hasAlarmEmail;

    // Refused calls count as failures, those for want of a place included.
    const setup = this.promise("CallSetup", "Calls that were refused", (window) =>
      share(metrics.of("refused", "Sum", window), [
        metrics.of("refused", "Sum", window),
        metrics.of("started", "Sum", window),
      ]),
    );
    const drops = this.promise(
      "CallDrop",
      "Calls that ended without anybody's having wanted it",
      (window) =>
        share(metrics.of("dropped", "Sum", window), [metrics.of("started", "Sum", window)]),
    );

    const slow = this.alarm(
      "FirstAudio",
      "Callers wait too long for an answer (95 % within 1.5 s is promised)",
      metrics.of("firstAudio", "p95", Duration.minutes(5)),
      1.5,
      3,
    );
    const errors = this.alarm(
      "TargetErrors",
      "Tasks answer with 5xx; a full task does, with 503",
      balancerMetric(balancer, "HTTPCode_Target_5XX_Count", "Sum", true),
      10,
      3,
    );
    this.alarm(
      "BalancerErrors",
      "The load balancer answers by itself: no task to send to",
      balancerMetric(balancer, "HTTPCode_ELB_5XX_Count", "Sum", false),
      10,
      3,
    );
    this.alarm(
      "UnhealthyTasks",
      "A task fails its health check",
      balancerMetric(balancer, "UnHealthyHostCount", "Maximum", true),
      0,
      3,
    );
    this.alarm(
      "Capacity",
      "A task is nearly full; scaling does not follow, or MaxTasks is reached",
      metrics.of("capacity", "Maximum", Duration.minutes(1)),
      90,
      5,
    );

    this.rollBack = [setup, drops, slow, errors].map((alarm) => alarm.alarmName);
  }

  /**
   * The alarms of one promise: two windows for each of two speeds. Returns the quickest one, which
   * is what a deployment is judged by.
   */
  private promise(id: string, what: string, ratio: (window: Duration) => cw.IMetric): cw.Alarm {
    const part = new Construct(this, id);
    let quickest: cw.Alarm | undefined;
    for (const { name, times, long, short } of BURNS) {
      const days = Math.round(30 / times);
      const windows = [long, short].map(
        (window) =>
          new cw.Alarm(part, `${name}${window.toMinutes()}`, {
            alarmDescription: `${what}: ${times} times what may be, over ${window.toHumanString()}`,
            metric: ratio(window),
            threshold: Number((times * BUDGET).toFixed(3)),
            comparisonOperator: cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluationPeriods: 1,
            treatMissingData: cw.TreatMissingData.NOT_BREACHING,
          }),
      );
      quickest ??= windows[1];
      const both = new cw.CompositeAlarm(part, name, {
        compositeAlarmName: `${Aws.STACK_NAME}-${id}-${name}`,
        alarmDescription: `${what}: at this rate the month's budget lasts ${days} days`,
        alarmRule: cw.AlarmRule.allOf(...windows),
      });
      both.addAlarmAction(new actions.SnsAction(this.topic));
      this.all.push(both);
    }
    return quickest!;
  }

  private alarm(
    id: string,
    alarmDescription: string,
    metric: cw.IMetric,
    threshold: number,
    evaluationPeriods: number,
  ): cw.Alarm {
    const alarm = this.ringing(this, id, {
      alarmDescription,
      metric,
      threshold,
      evaluationPeriods,
      comparisonOperator: cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
    });
    this.all.push(alarm);
    return alarm;
  }

  /**
   * An alarm that goes where all go and belongs to `part`. Not on the dashboard: a part may be there
   * under a condition, and the dashboard may not refer to it.
   */
  ringing(part: Construct, id: string, what: Omit<cw.AlarmProps, "treatMissingData">): cw.Alarm {
    const alarm = new cw.Alarm(part, id, {
      ...what,
      treatMissingData: cw.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    return alarm;
  }
}

/** Per cent of the calls; 0 while there are too few to tell. */
function share(bad: cw.Metric, of: cw.Metric[]): cw.MathExpression {
  const all = of.map((_, index) => `FILL(c${index}, 0)`).join(" + ");
  return new cw.MathExpression({
    expression: `IF(${all} >= ${LEAST_CALLS}, 100 * FILL(bad, 0) / (${all}), 0)`,
    usingMetrics: { bad, ...Object.fromEntries(of.map((metric, index) => [`c${index}`, metric])) },
    period: bad.period,
    label: "per cent",
  });
}

/** A metric of the load balancer, or of its target group. */
export function balancerMetric(
  balancer: Balancer,
  metricName: string,
  statistic: string,
  ofTargets: boolean,
): cw.Metric {
  return new cw.Metric({
    namespace: "AWS/ApplicationELB",
    metricName,
    dimensionsMap: {
      LoadBalancer: balancer.fullName,
      ...(ofTargets ? { TargetGroup: balancer.targetGroupFullName } : {}),
    },
    statistic,
    period: Duration.minutes(1),
  });
}
