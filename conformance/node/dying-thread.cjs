/** Preloaded by a server under test: SIGUSR2 kills one of its worker threads, as a bug in it would. */
const { BroadcastChannel, isMainThread, threadId } = require("node:worker_threads");

const channel = new BroadcastChannel("dying-thread");
channel.unref();
if (isMainThread) process.on("SIGUSR2", () => channel.postMessage(undefined));
else
  channel.onmessage = () => {
    if (threadId === 1) throw new Error("planted");
  };
