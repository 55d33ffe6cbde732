/** The dashboard: first what callers notice, then what the fleet does, then why. */
import { Aws, aws_cloudwatch as cw, Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { type Alarms, balancerMetric } from "./alarms.ts";
import type { Balancer } from "./balancer.ts";
import { type Metrics, SOURCES } from "./metrics.ts";
import type { Service } from "./service.ts";

interface DashboardProps {
  metrics: Metrics;
  balancer: Balancer;
  service: Service;
  alarms: Alarms;
}

/** Puts it into the stack. */
export function dashboard(
  scope: Construct,
  { metrics, balancer, service, alarms }: DashboardProps,
): void {
  const graph = (title: string, left: cw.IMetric[], right: cw.IMetric[] = []) =>
    new cw.GraphWidget({ title, left, right, width: 8, height: 6, leftYAxis: { min: 0 } });
  const task = (metricName: string) =>
    new cw.Metric({
      namespace: "AWS/ECS",
      metricName,
      dimensionsMap: { ClusterName: service.clusterName, ServiceName: service.serviceName },
      statistic: "Average",
      period: Duration.minutes(1),
    });
  const tasks = (metricName: string) =>
    new cw.Metric({
      ...task(metricName).toMetricConfig().metricStat!,
      namespace: "ECS/ContainerInsights",
      dimensionsMap: { ClusterName: service.clusterName, ServiceName: service.serviceName },
    });

  new cw.Dashboard(scope, "Dashboard", {
    dashboardName: Aws.STACK_NAME,
    widgets: [
      [new cw.AlarmStatusWidget({ title: "Alarms", alarms: alarms.all, width: 24, height: 3 })],
      [
        graph(
          "Wait for the first audio, s",
          ["p50", "p95", "p99"].map((p) => metrics.of("firstAudio", p).with({ label: p })),
        ),
        graph("Calls that failed", [
          metrics.of("dropped", "Sum").with({ label: "dropped" }),
          metrics.of("refused", "Sum").with({ label: "refused" }),
        ]),
        graph(
          "Errors, by source",
          SOURCES.map((source) => metrics.errorsOf(source)),
        ),
      ],
      [
        graph("Calls", [
          metrics.of("calls", "Sum").with({ label: "in progress" }),
          metrics.of("started", "Sum").with({ label: "started in a minute" }),
        ]),
        graph("Per cent of MAX_CALLS", [
          metrics.of("capacity", "Average").with({ label: "average task" }),
          metrics.of("capacity", "Maximum").with({ label: "fullest task" }),
        ]),
        graph("Tasks", [tasks("DesiredTaskCount"), tasks("RunningTaskCount")]),
      ],
      [
        graph("Streams renewed", [metrics.of("renewals", "Sum").with({ label: "renewals" })]),
        graph("CPU and memory, %", [task("CPUUtilization"), task("MemoryUtilization")]),
        graph(
          "Load balancer",
          [balancerMetric(balancer, "ActiveConnectionCount", "Sum", false)],
          [
            balancerMetric(balancer, "HTTPCode_Target_5XX_Count", "Sum", true),
            balancerMetric(balancer, "HTTPCode_ELB_5XX_Count", "Sum", false),
          ],
        ),
      ],
    ],
  });
}
