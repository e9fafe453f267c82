// `node --require ./loopback.cjs`: every server listens on loopback, whatever its program asks for.
"use strict";
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function onLoopback(...words) {
  const [first] = words;
  const done = words.find((word) => typeof word === "function");
  const asked = typeof first === "object" && first !== null ? first : { port: Number(first) };
  return listen.call(this, { ...asked, host: "127.0.0.1" }, done);
};
