// Shows /openapi.json. Text only ever enters the page as text.
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};

const paragraphs = (text) => (text || "").split("\n\n").filter(Boolean).map((part) => make("p", {}, part));

const shape = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(shape).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return shape(schema.items) + "[]";
  if (schema.type === "object" && typeof schema.additionalProperties === "object")
    return `{name: ${shape(schema.additionalProperties)}}`;
  return schema.type || "any";
};

const fields = (schema, schemas) => {
  const found = schema && schema.$ref ? schemas[schema.$ref.split("/").pop()] : schema;
  if (!found || !found.properties) return [];
  const required = new Set(found.required || []);
  const rows = Object.entries(found.properties).map(([name, field]) =>
    make("tr", {}, make("td", {}, make("code", {}, name + (required.has(name) ? " *" : ""))),
      make("td", { className: "quiet" }, shape(field))));
  return [...paragraphs(found.description), make("table", {}, make("tbody", {}, ...rows))];
};

const media = (content, schemas) => Object.entries(content || {}).flatMap(([type, { schema, example }]) => [
  make("p", { className: "quiet" }, `${type}: ${shape(schema)}`),
  ...(type === "application/json" ? fields(schema, schemas) : []),
  ...(example === undefined ? [] : [make("pre", {}, JSON.stringify(example, null, 2))]),
]);

// As it can be pasted into a shell, with the key in $CLARION_KEY. Places that an earlier answer fills stay in braces.
const curl = (path, method, described) => {
  const places = Object.fromEntries((described.parameters || []).filter((one) => one.in === "path" && one.example)
    .map((one) => [one.name, encodeURIComponent(one.example)]));
  const target = path.replace(/{(\w+)}/g, (place, name) => places[name] || place);
  const example = described.requestBody && described.requestBody.content["application/json"].example;
  return [
    `curl -X ${method.toUpperCase()} '${location.origin}${target}'`,
    ...(described.security.length ? [`-H "Authorization: Bearer $CLARION_KEY"`] : []),
    ...(example === undefined || !described.requestBody ? [] : ["-H 'Content-Type: application/json'",
      `-d '${JSON.stringify(example).replaceAll("'", "'\\''")}'`]),
  ].join(" \\\n  ");
};

const operation = (path, method, described, schemas) => {
  const parameters = (described.parameters || []).map((parameter) =>
    make("tr", {}, make("td", {}, make("code", {}, parameter.name + (parameter.required ? " *" : ""))),
      make("td", { className: "quiet" }, `${parameter.in}, ${shape(parameter.schema)}`)));
  const answers = Object.entries(described.responses).flatMap(([status, answer]) => [
    make("h4", {}, `${status} ${answer.description}`),
    ...(status < "300" ? media(answer.content, schemas) : []),
  ]);
  return make("details", {},
    make("summary", {}, make("code", {}, make("span", { className: "method" }, method.toUpperCase()), path), " ",
      make("span", { className: "quiet" }, described.summary)),
    ...paragraphs(described.description),
    make("pre", {}, curl(path, method, described)),
    ...(parameters.length ? [make("h4", {}, "Parameters"), make("table", {}, make("tbody", {}, ...parameters))] : []),
    ...(described.requestBody ? [make("h4", {}, "Body"), ...media(described.requestBody.content, schemas)] : []),
    ...answers);
};

const show = (description) => {
  const byTag = new Map();
  for (const [path, methods] of Object.entries(description.paths))
    for (const [method, described] of Object.entries(methods)) {
      const [tag] = described.tags;
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(operation(path, method, described, description.components.schemas));
    }
  document.getElementById("content").replaceChildren(...paragraphs(description.info.description),
    ...[...byTag].flatMap(([tag, operations]) => [make("h2", {}, tag), ...operations]));
};

fetch("/openapi.json").then((answer) => answer.json()).then(show).catch((error) => {
  document.getElementById("content").textContent = `The description cannot be read: ${error}`;
});
