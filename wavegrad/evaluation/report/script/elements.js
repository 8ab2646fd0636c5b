"use strict";
// Text reaches the page as textContent or as an attribute only, never as HTML: names of files and systems are anyone's.

const figures = JSON.parse(document.getElementById("figures").textContent);
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function fixed(value, digits, signed = false) {
  const text = value.toFixed(digits).replace("-", "−");
  return signed && value >= 0 ? "+" + text : text;
}
