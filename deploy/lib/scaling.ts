/**
 * How many tasks there are. Two ways, one of which is chosen (`ScalingMode`).
 *
 * `sessions` follows the calls: as many tasks as hold `CallsPerTask` each, and half as many again at
 * once when a burst fills them to `BurstCapacity` per cent. `thresholds` adds and takes away one
 * task at fixed numbers of requests and connections.
 */
import {
  aws_applicationautoscaling as scaling,
  aws_cloudwatch as cw,
  Duration,
  Fn,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Balancer } from "./balancer.ts";
import { type Metrics, NAMES, NAMESPACE } from "./metrics.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";
import type { Service } from "./service.ts";

interface ScalingProps {
  given: Parameters;
  metrics: Metrics;
  balancer: Balancer;
  service: Service;
}

/** The target and the policies of both ways. */
export class Scaling extends Construct {
  constructor(scope: Construct, id: string, props: ScalingProps) {
    super(scope, id);
    const { given, service } = props;
    const target = new scaling.CfnScalableTarget(this, "Target", {
      serviceNamespace: "ecs",
      scalableDimension: "ecs:service:DesiredCount",
      resourceId: Fn.join("/", ["service", service.clusterName, service.serviceName]),
      minCapacity: given.minTasks,
      maxCapacity: given.maxTasks,
    });
    onlyIf(new BySessions(this, "Sessions", target, props), given.scaleBySessions);
    onlyIf(new ByThresholds(this, "Thresholds", target, props), given.scaleByThresholds);
  }
}

class BySessions extends Construct {
  constructor(
    scope: Construct,
    id: string,
    target: scaling.CfnScalableTarget,
    { given, metrics, service }: ScalingProps,
  ) {
    super(scope, id);
    const stat = (
      name: string,
      namespace: string,
      metricName: string,
      statistic: string,
      dimensions: { name: string; value: string }[],
    ) => ({
      id: name,
      metricStat: { metric: { namespace, metricName, dimensions }, stat: statistic },
      returnData: false,
    });
    // The sum over all tasks, also those that are about to go, by the tasks that are wanted. The
    // average over tasks would be pulled down by those that drain, and ask for fewer still.
    new scaling.CfnScalingPolicy(this, "Track", {
      policyName: "calls-per-desired-task",
      policyType: "TargetTrackingScaling",
      scalingTargetId: target.ref,
      targetTrackingScalingPolicyConfiguration: {
        targetValue: given.callsPerTask,
        scaleOutCooldown: 60,
        // Calls are long: who has just been added is not taken away in the next breath.
        scaleInCooldown: 900,
        customizedMetricSpecification: {
          metrics: [
            stat("calls", NAMESPACE, NAMES.calls, "Sum", metrics.rawDimensions()),
            stat("tasks", "ECS/ContainerInsights", "DesiredTaskCount", "Average", [
              { name: "ClusterName", value: service.clusterName },
              { name: "ServiceName", value: service.serviceName },
            ]),
            {
              id: "each",
              expression: "calls / tasks",
              label: "calls per desired task",
              returnData: true,
            },
          ],
        },
      },
    });

    // Target tracking looks at minutes. A burst is seen within twenty seconds.
    const burst = new scaling.CfnScalingPolicy(this, "Burst", {
      policyName: "burst",
      policyType: "StepScaling",
      scalingTargetId: target.ref,
      stepScalingPolicyConfiguration: {
        adjustmentType: "PercentChangeInCapacity",
        minAdjustmentMagnitude: 1,
        metricAggregationType: "Average",
        cooldown: 60,
        stepAdjustments: [{ metricIntervalLowerBound: 0, scalingAdjustment: 50 }],
      },
    });
    new cw.CfnAlarm(this, "BurstAlarm", {
      alarmDescription: "Calls come faster than tracking follows; half as many tasks again",
      namespace: NAMESPACE,
      metricName: NAMES.capacity,
      dimensions: metrics.rawDimensions(),
      statistic: "Average",
      period: 10,
      evaluationPeriods: 2,
      threshold: given.burstCapacity,
      comparisonOperator: "GreaterThanThreshold",
      treatMissingData: "notBreaching",
      alarmActions: [burst.ref],
    });
  }
}

class ByThresholds extends Construct {
  constructor(
    scope: Construct,
    id: string,
    target: scaling.CfnScalableTarget,
    { given, metrics, balancer }: ScalingProps,
  ) {
    super(scope, id);
    const requests = new cw.Metric({
      namespace: "AWS/ApplicationELB",
      metricName: "RequestCountPerTarget",
      dimensionsMap: { TargetGroup: balancer.targetGroupFullName },
      statistic: "Sum",
      period: Duration.minutes(1),
    });
    const connections = metrics.of("connections", "Average");

    const out = this.step("Out", target, 1, 60);
    const greater = (name: string, metric: cw.IMetric, threshold: number, what: string) =>
      this.alarm(
        name,
        metric,
        threshold,
        cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
        2,
        out,
        what,
      );
    greater("RequestsOut", requests, given.requestsOut, "Many requests per target: one more task");
    greater(
      "ConnectionsOut",
      connections,
      given.connectionsOut,
      "Many connections per task: one more",
    );

    // Both have to be low. A call is one request: few requests say nothing about how many talk, and
    // a task full of calls would be taken away.
    const few = `FILL(requests, 0) < ${given.requestsIn}`;
    const low = new cw.MathExpression({
      expression: `IF(${few} AND connections < ${given.connectionsIn}, 1, 0)`,
      usingMetrics: { requests, connections },
      period: Duration.minutes(1),
      label: "both are low",
    });
    this.alarm(
      "In",
      low,
      1,
      cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      15,
      this.step("In", target, -1, 900),
      "Few requests and few connections: one task fewer",
    );
  }

  private step(
    id: string,
    target: scaling.CfnScalableTarget,
    change: 1 | -1,
    cooldown: number,
  ): string {
    return new scaling.CfnScalingPolicy(this, `${id}Policy`, {
      policyName: change > 0 ? "one-more" : "one-fewer",
      policyType: "StepScaling",
      scalingTargetId: target.ref,
      stepScalingPolicyConfiguration: {
        adjustmentType: "ChangeInCapacity",
        metricAggregationType: "Average",
        cooldown,
        stepAdjustments: [{ metricIntervalLowerBound: 0, scalingAdjustment: change }],
      },
    }).ref;
  }

  private alarm(
    id: string,
    metric: cw.IMetric,
    threshold: number,
    comparisonOperator: cw.ComparisonOperator,
    evaluationPeriods: number,
    policy: string,
    alarmDescription: string,
  ): void {
    new cw.Alarm(this, id, {
      metric,
      threshold,
      comparisonOperator,
      evaluationPeriods,
      alarmDescription,
      treatMissingData: cw.TreatMissingData.NOT_BREACHING,
    }).addAlarmAction({ bind: () => ({ alarmActionArn: policy }) });
  }
}
