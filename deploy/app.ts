/**
 * The CDK app: one stack. `npx cdk deploy` runs it, and so does whoever wants a diff.
 *
 * Nothing is decided here; `lib/stack.ts` puts the parts together. `./deploy` needs no CDK: it
 * takes `template.json`, which `template.ts` makes of the same stack.
 */
import { app } from "./lib/stack.ts";

app().synth();
