/**
 * Writes `template.json`, the stack as plain CloudFormation, for whoever has no CDK.
 *
 * `npm run template` after every change; a test fails when the file is not what the stack makes.
 */
import { writeFileSync } from "node:fs";

import { templateText } from "./lib/stack.ts";

writeFileSync(new URL("template.json", import.meta.url), templateText());
