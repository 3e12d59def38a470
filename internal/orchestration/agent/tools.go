package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
	"github.com/tutti-run/tutti/internal/quote"
)

// Tools calls configured tools. It is safe for concurrent use.
type Tools interface {
	// Call calls the tool of that name. Arguments are a JSON object. The key is the
	// same whenever the same call is made again, and no other's: where the tool knows
	// such keys, it does its work once. The result is text, of any content. A failure's
	// detail is for people and models: bounded, and free of secrets. One of
	// [orchestration.CodeOutputInvalid] says that nothing went out.
	Call(ctx context.Context, name string, arguments json.RawMessage, key string) (result string, failure *orchestration.Failure)
}

// compensationTimeout bounds a compensation: neither the run's time nor that of
// its subtasks does.
const compensationTimeout = time.Minute

// compensated performs a Compensate. All attempts at one are the same call: the
// one before may have had its effect, and only its answer was lost.
func (p *performance) compensated(ctx context.Context, c orchestration.Compensate) orchestration.Compensated {
	said := orchestration.Compensated{Subtask: c.Subtask, Attempt: c.Attempt}
	said.Failure = p.contain(func() *orchestration.Failure {
		arguments := c.Arguments
		if len(arguments) == 0 {
			arguments = json.RawMessage("{}")
		}
		_, failure := p.callTool(ctx, compensationTimeout, c.Tool, arguments, p.Run+"/compensation/"+c.Subtask)
		return failure
	})
	return said
}

// useTool performs a Work of a tool: its inputs are the arguments. They are the same
// for every attempt, so these are the same call, as those at a compensation are.
func (p *performance) useTool(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	if c.Subtask.Tool == nil {
		return &orchestration.Failure{Code: orchestration.CodeInternal, Detail: "the subtask names no tool"}
	}
	name := c.Subtask.Tool.Name
	arguments, failure := p.arguments(ctx, c.Inputs)
	if failure != nil {
		return failure
	}
	tool, known := p.toolNamed(name)
	if !known {
		return notCalled("the run knows no tool of that name")
	}
	compiled, err := argumentsSchema(tool)
	if err != nil {
		return notCalled(err.Error())
	}
	if violations := compiled.Validate(arguments); len(violations) > 0 {
		return notCalled("the arguments do not satisfy the tool's schema: " + rules(violations))
	}
	said.Output, failure = p.callTool(ctx, p.timeout, name, arguments, p.Run+"/subtask/"+c.Subtask.ID)
	return failure
}

// arguments makes a JSON object of values.
func (p *performance) arguments(ctx context.Context, values []orchestration.Value) (json.RawMessage, *orchestration.Failure) {
	object := []byte{'{'}
	for i, v := range values {
		text, failure := p.text(ctx, v.Text)
		if failure != nil {
			return nil, failure
		}
		if i > 0 {
			object = append(object, ',')
		}
		object = append(quote.Append(object, v.Name), ':')
		switch whole := json.Valid([]byte(text)); {
		case whole:
			object = append(object, text...)
		case v.JSON:
			return nil, &orchestration.Failure{Code: orchestration.CodeInternal, Detail: "an argument of the tool is not valid JSON"}
		default:
			object = quote.Append(object, text)
		}
	}
	return append(object, '}'), nil
}

// toolNamed returns the tool of that name that the run may call.
func (p *performance) toolNamed(name string) (orchestration.Tool, bool) {
	for _, t := range p.Spec.Tools {
		if t.Name == name {
			return t, true
		}
	}
	return orchestration.Tool{}, false
}

// argumentsSchema returns what a tool's arguments must satisfy.
func argumentsSchema(t orchestration.Tool) (*schema.Schema, error) {
	if len(t.Schema) == 0 {
		return schema.Compile(json.RawMessage(`{"type":"object"}`))
	}
	return schema.Compile(t.Schema)
}

// callTool calls a tool, for so long at most; 0: as long as ctx lasts.
func (p *performance) callTool(ctx context.Context, timeout time.Duration, name string, arguments json.RawMessage, key string) (string, *orchestration.Failure) {
	if p.tools == nil {
		return "", notCalled("no tools are configured")
	}
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	result, failure := p.tools.Call(limited, name, arguments, key)
	switch {
	case failure == nil:
		return strings.ToValidUTF8(strings.ReplaceAll(result, "\x00", "\uFFFD"), "\uFFFD"), nil
	case ctx.Err() != nil:
		return "", canceled()
	}
	failure.Code = cmp.Or(failure.Code, orchestration.CodeToolFailed)
	failure.Detail = shortly(failure.Detail, maxDetail)
	return "", failure
}

// toolKey is what a call that a model asks for is known by. One that is made again
// after a crash may be another one under the same number, so what is asked for is
// a part of it.
func (p *performance) toolKey(number int, name string, arguments json.RawMessage) string {
	sum := sha256.Sum256(append([]byte(name+"\x00"), arguments...))
	return fmt.Sprintf("%s/%s/%d-%x", p.Run, p.call, number, sum[:8])
}

// notCalled is of a call of which nothing went out: there is nothing to be undone.
func notCalled(detail string) *orchestration.Failure {
	return invalidOutput("the tool was not called: "+shortly(detail, maxDetail), false)
}

func toolFailed(detail string) *orchestration.Failure {
	return &orchestration.Failure{Code: orchestration.CodeToolFailed, Detail: shortly(detail, maxDetail)}
}
