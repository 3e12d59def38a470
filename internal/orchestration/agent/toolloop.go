package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// Bounds of the tools that one attempt may call.
const (
	maxRounds     = 8        // of asking the model, the answer included
	maxToolCalls  = 16       // in all rounds
	maxArguments  = 64 << 10 // bytes of one call
	maxToolResult = 64 << 10 // bytes of one result, as the model is shown it
)

// A toolbox is the tools of a worker in one attempt.
type toolbox struct {
	p       *performance
	offered []llm.Tool
	schemas map[string]*schema.Schema // of the arguments
	calls   int
	ids     map[string]bool // of calls
	refused map[string]int  // the round in which a tool's arguments were first refused
	cramped bool            // there was no room for all that the tools say, or for any of them
}

// toolbox returns the tools that a worker may call. One that is configured no
// longer, or cannot be called, is none.
func (p *performance) toolbox(w *orchestration.Worker) *toolbox {
	if p.tools == nil || len(w.Tools) == 0 {
		return &toolbox{p: p}
	}
	box := &toolbox{p: p, schemas: map[string]*schema.Schema{}, ids: map[string]bool{}, refused: map[string]int{}}
	for _, name := range w.Tools {
		tool, known := p.toolNamed(name)
		if !known || box.schemas[name] != nil {
			continue
		}
		if compiled, err := argumentsSchema(tool); err == nil {
			box.schemas[name] = compiled
			box.offered = append(box.offered, llm.Tool{Name: name, Description: tool.Description, Schema: tool.Schema})
		}
	}
	return box
}

// offer returns the tools, nil where the attempt cannot pay for a second call.
func (box *toolbox) offer() []llm.Tool {
	if !box.p.affords(2, 0) {
		return nil
	}
	return box.offered
}

// askWith returns the model's answer to the conversation, in the course of which
// it may ask for tools. When it may no more, it is asked without them.
func (d *dialog) askWith(ctx context.Context, box *toolbox) (string, *orchestration.Failure) {
	tools := d.request.Tools
	if len(tools) == 0 {
		return d.ask(ctx)
	}
	for round := 1; round < maxRounds && box.calls < maxToolCalls; round++ {
		if round > 1 && !d.p.affords(2, spentOn(&d.request)) {
			box.cramped = true // what a tool says has to be paid for, too
			break
		}
		resp, failure := d.turn(ctx)
		switch {
		case failure != nil:
			return "", failure
		case len(resp.ToolCalls) == 0:
			return d.finish(ctx, resp)
		}
		if failure := box.answer(ctx, d, resp, round); failure != nil {
			return "", failure
		}
	}
	d.request.Tools = nil
	d.request.Messages = append(d.request.Messages, llm.Message{Author: llm.User, Text: lastWords})
	return d.ask(ctx)
}

// answer calls the tools that the model asks for, in the order in which it does,
// and adds what they say to the conversation.
func (box *toolbox) answer(ctx context.Context, d *dialog, resp *llm.Response, round int) *orchestration.Failure {
	calls := resp.ToolCalls[:min(len(resp.ToolCalls), maxToolCalls-box.calls)]
	asked := llm.Message{Author: llm.Assistant, Text: answerKept(resp.Text)}
	results := make([]string, len(calls))
	for i, call := range calls {
		box.calls++
		result, failure := box.call(ctx, d, call, round)
		if failure != nil {
			return failure
		}
		results[i] = toolResult(result)
		asked.ToolCalls = append(asked.ToolCalls, box.presentable(call))
	}
	d.request.Messages = append(d.request.Messages, asked)
	for i, result := range box.fit(d, results) {
		d.request.Messages = append(d.request.Messages, llm.Message{Author: llm.ToolResult, Text: result, Answers: asked.ToolCalls[i].ID})
	}
	return nil
}

// call makes one call. What is wrong with it is told to the model as its result;
// arguments that the tool's schema refuses a second time fail the attempt.
func (box *toolbox) call(ctx context.Context, d *dialog, call llm.ToolCall, round int) (string, *orchestration.Failure) {
	compiled := box.schemas[call.Name]
	if compiled == nil {
		return "Error: there is no tool of that name. Call only the tools that you are offered.", nil
	}
	arguments, faults := readArguments(call.Arguments, compiled)
	if faults != "" {
		if first, told := box.refused[call.Name]; told && first < round {
			return "", toolFailed(fmt.Sprintf("the model called %s with arguments that its schema refuses, also after it was told so", call.Name))
		}
		box.refused[call.Name] = round
		return "Error: the tool was not called, because its arguments do not satisfy its schema:\n" + faults + "Call it again with arguments that do, or go on without.", nil
	}
	left, ok := d.left()
	if !ok {
		return "Error: there is no time left for it.", nil
	}
	result, failure := box.p.callTool(ctx, left, call.Name, arguments, box.p.toolKey(box.calls, call.Name, arguments))
	switch {
	case ctx.Err() != nil:
		return "", canceled()
	case failure != nil:
		return "Error: the tool failed: " + failure.Detail, nil
	}
	return result, nil
}

// readArguments reads the arguments of a call: compact JSON, or what is wrong
// with them, in lines. None at all are an empty object.
func readArguments(text string, compiled *schema.Schema) (arguments json.RawMessage, faults string) {
	if len(text) > maxArguments {
		return nil, fmt.Sprintf("- they have %d bytes; at most %d are allowed\n", len(text), maxArguments)
	}
	if isBlankText(text) {
		text = "{}"
	}
	arguments, violations := strictly(text)
	if len(violations) == 0 {
		violations = compiled.Validate(arguments)
	}
	return arguments, violationLines(violations)
}

// presentable is a call as it may be said again to an endpoint, some of which
// choke on their own models' slips.
func (box *toolbox) presentable(call llm.ToolCall) llm.ToolCall {
	const mostID, mostName = 256, 64
	for n := len(box.ids) + 1; call.ID == "" || len(call.ID) > mostID || box.ids[call.ID]; n++ {
		call.ID = fmt.Sprintf("call_%d", n)
	}
	box.ids[call.ID] = true
	call.Name = strings.Map(func(r rune) rune {
		if r >= 0x80 || !isNameByte(byte(r)) {
			return '_'
		}
		return r
	}, call.Name)
	if call.Name == "" {
		call.Name = "_"
	}
	call.Name = call.Name[:min(len(call.Name), mostName)]
	if len(call.Arguments) > maxArguments || !json.Valid([]byte(call.Arguments)) {
		call.Arguments = "{}"
	}
	return call
}

// toolResult is a result as the model is shown it: material in a section.
func toolResult(text string) string {
	if more := len(text) - runeStart(text, maxToolResult); len(text) > maxToolResult {
		text = text[:len(text)-more] + fmt.Sprintf("\n[… %d bytes left out]", more)
	}
	return harmless(text, toolTags)
}

var toolTags = []string{"</tool_result", "<tool_result"}

// fit shortens results to what the next request has room for, and puts them into
// their sections.
func (box *toolbox) fit(d *dialog, results []string) []string {
	const marks = 16 // of a section
	budget, _ := box.p.room(d.request.MaxTokens)
	if budget >= 0 {
		room := budget - spentOn(&d.request) - len(results)*(messageTokens+marks) - messageTokens - tokens(lastWords)
		shared, ok := share(results, room)
		for i := range results {
			fitted := "Error: there is no room for the result."
			if ok {
				fitted = shared[i]
			}
			results[i], box.cramped = fitted, box.cramped || fitted != results[i]
		}
	}
	for i := range results {
		results[i] = "<tool_result>\n" + results[i] + "\n</tool_result>"
	}
	return results
}
