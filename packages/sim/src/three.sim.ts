/** Three streaming nodes beside coordinator, query nodes, data node and proxy, over a network that loses messages. */
import { seedTests } from "./seeds.ts";

seedTests("three", 150);
