/** Parts that are there under a condition, and whoever has to wait for them. */
import { type CfnCondition, CfnResource, CfnWaitConditionHandle, Fn } from "aws-cdk-lib";
import { Construct, type IConstruct } from "constructs";

/** Puts `condition` on every resource below `part`. */
export function onlyIf(part: IConstruct, condition: CfnCondition): void {
  for (const element of part.node.findAll()) {
    if (CfnResource.isCfnResource(element)) element.cfnOptions.condition = condition;
  }
}

/**
 * Makes a resource wait for others that may not be there: DependsOn may not name those. A wait
 * handle costs nothing, is made at once, and may refer to them under their conditions.
 */
export class WaitFor extends Construct {
  constructor(scope: Construct, id: string, who: CfnResource, others: CfnResource[]) {
    super(scope, id);
    const handle = new CfnWaitConditionHandle(this, "Resource");
    for (const other of others) {
      const condition = other.cfnOptions.condition;
      if (condition) {
        handle.addMetadata(
          other.node.path.split("/").slice(1).join("."),
          Fn.conditionIf(condition.logicalId, other.ref, ""),
        );
      } else {
        who.addResourceDependency(other);
      }
    }
    who.addResourceDependency(handle);
  }
}
