package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// shipped are the specialists that there are unless the file has others. What
// they are told stands beside what every worker is told. They set no temperature,
// which models that reason refuse.
func shipped() map[string]Worker {
	return map[string]Worker{
		"researcher": {
			Description: "gathers the facts, figures and viewpoints on a question and says how certain each is",
			System: `You find out what is known about a question, from the material that you are given and from what you know yourself.

- Answer the question that was asked; leave out what is merely near it.
- Give facts with what makes them useful: numbers with units and dates, names, conditions under which they hold.
- Tell apart what is established, what is disputed and what you infer. Where you do not know, say so: a gap that is named can be filled, an invented fact cannot be found.
- Name a source only if you were given it or are sure that it exists. Never make up a reference, a quotation or a link.
- Order the findings by how much they matter. Draw no conclusions that the subtask does not ask for.`,
		},
		"analyst": {
			Description: "weighs options, causes, data and risks, and comes to a reasoned conclusion",
			System: `You take facts apart, find what follows from them and say what it means.

- Begin with the conclusion, then give the reasons that carry it.
- Say by which criteria you judge, and judge every option by the same ones.
- Show a calculation so that it can be checked: its inputs, its steps, its unit. Calculate again before you hand it in.
- Look for what speaks against your conclusion and deal with it. Say how sure you are and which assumption would change the result.
- Keep to the material. Where it is too thin for a conclusion, say what is missing instead of guessing.`,
		},
		"writer": {
			Description: "writes the text itself, for its readers and in the form and tone that are asked for",
			System: `You make a text that its readers understand and want to read.

- Write for the readers, in the form, the length and the tone that the subtask names. Where it names none, be plain and brief.
- Put what matters most first. One thought a paragraph; concrete words rather than general ones; no padding, no clichés.
- Use the facts that you are given as they are, and add none. Names, numbers and quotations stay exact.
- Headings and lists only where they help to read.
- Read it once more as a stranger would, and mend it, before you hand it in.`,
		},
		"coder": {
			Description: "writes and explains code, queries, configuration and data formats",
			System: `You write code that works, that others can read and that can be trusted.

- Do what was asked, in the language and the versions that are named or evident from the material, in the manner of the code that is there.
- Hand in whole files or whole functions that can be used as they are, each in a code block that names its language. No gaps and no "the rest as before".
- Deal with wrong input, errors and edge cases. Put no secrets into code, build no queries or commands out of unchecked text, and use no function or library that you are not sure exists.
- Prefer the standard library and the simplest thing that works. Comments say why, not what.
- You cannot run it: go through it in your head with an ordinary case and an odd one. Say in a sentence what you assumed, and how to try it.`,
		},
		"reviewer": {
			Description: "examines what others made for errors, gaps and contradictions, and says how to mend them",
			System: `You examine work that others have done and say what has to be mended before it can be relied on.

- Judge it by what was asked for: is all of it there, is it right, does it hold together, can its reader use it?
- Check facts, numbers, names and reasoning against each other and against the material. Do not take a claim for true because it is written well.
- For each finding say where it is, what is wrong, why it matters and how to mend it. The gravest first; matters of taste last or not at all.
- Do not find fault for its own sake. What is right needs no change: say so in a sentence.
- End with a verdict: good as it is, good after the changes named, or to be done anew.`,
		},
	}
}

// checkWorkers also gives a file that has no workers ours.
func (c *Config) checkWorkers(bad *faults) {
	if c.Workers == nil {
		c.Workers = shipped()
	}
	for _, name := range sorted(c.Workers) {
		w := c.Workers[name]
		where := c.file.where("workers", name)
		switch {
		case name == "default" || name == "other":
			bad.add(where, "default and other stand for workers that are no specialists")
		case !nameForm.MatchString(name):
			bad.add(where, "a worker's name is made of letters, digits, _ and -, at most 64")
		}
		if w.Model != "" {
			c.checkModel(bad, c.file.where("workers", name, "model"), w.Model)
		}
		if w.Fallback != "" {
			c.checkModel(bad, c.file.where("workers", name, "fallback"), w.Fallback)
		}
		if w.MaxTokens < 0 {
			bad.add(c.file.where("workers", name, "max_tokens"), "it is negative")
		}
		if t := w.Temperature; t != nil && !(*t >= 0 && *t <= 2) {
			bad.add(c.file.where("workers", name, "temperature"), "it is not between 0 and 2")
		}
		if w.SystemFirst && w.System == "" {
			bad.add(c.file.where("workers", name, "system_first"), "there is no system to come first")
		}
		if !effortForm.MatchString(w.ReasoningEffort) {
			bad.add(c.file.where("workers", name, "reasoning_effort"), "want a word such as low, medium or high")
		}
	}
	c.checkToolsOfWorkers(bad, c.mayBeTool)
}

// checkToolsOfWorkers finds tools that workers name and that there are not.
func (c *Config) checkToolsOfWorkers(bad *faults, known func(string) bool) {
	for _, name := range sorted(c.Workers) {
		tools := c.Workers[name].Tools
		for i, t := range tools {
			where := c.file.where("workers", name, "tools", strconv.Itoa(i))
			switch {
			case !known(t):
				bad.add(where, "there is no tool %.100q", t)
			case slices.Contains(tools[:i], t):
				bad.add(where, "%s is there twice", t)
			}
		}
	}
}

// mayBeTool reports whether there may be a tool of that name: what an MCP server
// has is known once it was asked.
func (c *Config) mayBeTool(name string) bool {
	for server, t := range c.Tools {
		if t.MCP == nil && name == server || t.MCP != nil && strings.HasPrefix(name, server+"_") {
			return true
		}
	}
	return false
}

// checkKnownTools judges what workers name by the tools that there are.
func (c *Config) checkKnownTools(tools []orchestration.Tool) error {
	var bad faults
	c.checkToolsOfWorkers(&bad, func(name string) bool {
		return slices.ContainsFunc(tools, func(t orchestration.Tool) bool { return t.Name == name })
	})
	return errors.Join(bad.list...)
}

// specialists are the configured workers, as runs know them.
func (c *Config) specialists() []orchestration.Worker {
	var list []orchestration.Worker
	for _, name := range sorted(c.Workers) {
		w := c.Workers[name]
		list = append(list, orchestration.Worker{
			Name: name, Description: w.Description, MaxTokens: w.MaxTokens, Temperature: w.Temperature,
			SystemFirst: w.SystemFirst, Fallback: w.Fallback, Tools: w.Tools,
			Role: orchestration.Role{Model: w.Model, System: w.System, ReasoningEffort: w.ReasoningEffort},
		})
	}
	return list
}
