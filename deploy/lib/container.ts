/**
 * What the containers of all services have in common: no rights, nothing to write to, a health check,
 * time to stop, and a log that stops nobody.
 */
import { Aws, type aws_ecs as ecs } from "aws-cdk-lib";

interface Container {
  name: string;
  image: string;
  /** Where it listens. */
  port: number;
  /** What the health check is told besides, such as the port. */
  healthcheck?: string[];
  logGroupName: string;
  /** How the names of its streams in the log begin. */
  stream: string;
}

export function container(of: Container): ecs.CfnTaskDefinition.ContainerDefinitionProperty {
  return {
    name: of.name,
    image: of.image,
    essential: true,
    user: "10001:10001",
    readonlyRootFilesystem: true,
    portMappings: [{ containerPort: of.port, protocol: "tcp" }],
    // The image's own is ignored by ECS.
    healthCheck: {
      command: ["CMD", "/usr/local/bin/voice-s2s", "healthcheck", ...(of.healthcheck ?? [])],
      interval: 10,
      timeout: 5,
      retries: 3,
      startPeriod: 15,
    },
    // The most that Fargate gives; the program itself stops after 110 (SHUTDOWN_GRACE).
    stopTimeout: 120,
    linuxParameters: { capabilities: { drop: ["ALL"] } },
    ulimits: [{ name: "nofile", softLimit: 65536, hardLimit: 65536 }],
    logConfiguration: {
      logDriver: "awslogs",
      options: {
        "awslogs-group": of.logGroupName,
        "awslogs-region": Aws.REGION,
        "awslogs-stream-prefix": of.stream,
        // A log that cannot be written must not stop whoever speaks.
        mode: "non-blocking",
        "max-buffer-size": "25m",
      },
    },
  };
}
