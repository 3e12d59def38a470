package simulator

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 32 << 20

// A chatRequest is the part of a request's body that the simulator heeds.
type chatRequest struct {
	Model               string         `json:"model"`
	Messages            []chatMessage  `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options"`
	ResponseFormat      responseFormat `json:"response_format"`
	MaxTokens           *int           `json:"max_tokens"`
	MaxCompletionTokens *int           `json:"max_completion_tokens"`
	Temperature         *float64       `json:"temperature"`
	Tools               []chatTool     `json:"tools"`

	digest [sha256.Size]byte // of the body, if there is a ledger
}

type chatMessage struct {
	Role       string         `json:"role"`
	Content    content        `json:"content"`
	ToolCalls  []chatToolCall `json:"tool_calls"`
	ToolCallID string         `json:"tool_call_id"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name   string         `json:"name"`
		Schema jsontext.Value `json:"schema"`
	} `json:"json_schema"`
}

// content is a message's: null, a string, or a list of parts.
type content struct {
	text   string
	images int
}

type contentPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (c *content) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return json.UnmarshalDecode(dec, &c.text)
	}
	var parts []contentPart
	if err := json.UnmarshalDecode(dec, &parts); err != nil {
		return err
	}
	var texts []string
	for _, p := range parts {
		switch p.Type {
		case "text":
			texts = append(texts, p.Text)
		case "image_url":
			c.images++
		default:
			return fmt.Errorf("content part of type %.40q", p.Type)
		}
	}
	c.text = strings.Join(texts, "\n")
	return nil
}

// readRequest reads and parses a body, by way of a buffer that is used again.
func (s *Simulator) readRequest(w http.ResponseWriter, r *http.Request) (*chatRequest, *apiError) {
	tooLong := &apiError{http.StatusRequestEntityTooLarge, "invalid_request_error", "", "", "Request body is too large."}
	if r.ContentLength > maxBody {
		return nil, tooLong
	}
	buf := s.buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 1<<20 {
			buf.Reset()
			s.buffers.Put(buf)
		}
	}()
	_, err := io.Copy(buf, http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, tooLong
	case err != nil:
		return nil, invalid("", "", "The request body could not be read.")
	}
	req := new(chatRequest)
	if s.opts.Ledger > 0 {
		req.digest = sha256.Sum256(buf.Bytes())
	}
	if err := json.Unmarshal(buf.Bytes(), req); err != nil {
		return nil, invalid("", "", "We could not parse the JSON body of your request, or a parameter has the wrong type.")
	}
	return req, nil
}

// check refuses what OpenAI's API refuses, and the features that this one lacks.
func (r *chatRequest) check(unsupported []Feature) *apiError {
	switch {
	case r.Model == "":
		return invalid("", "", "you must provide a model parameter")
	case len(r.Messages) == 0:
		return invalid("empty_array", "messages",
			"Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	case r.StreamOptions != nil && !r.Stream:
		return invalid("", "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case r.ResponseFormat.Type == "json_schema" && (r.ResponseFormat.JSONSchema.Name == "" || len(r.ResponseFormat.JSONSchema.Schema) == 0):
		return invalid("missing_required_parameter", "response_format.json_schema",
			"Missing required parameter: 'response_format.json_schema'.")
	}
	for _, f := range unsupported {
		if fail := r.lacks(f); fail != nil {
			return fail
		}
	}
	if fail := r.checkTools(); fail != nil {
		return fail
	}
	if r.ResponseFormat.Type == "json_object" && !r.mentionsJSON() {
		return invalid("", "messages",
			"'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.")
	}
	return nil
}

// lacks returns the error of an endpoint that does not know f, nil where r does not use it.
func (r *chatRequest) lacks(f Feature) *apiError {
	switch f {
	case JSONSchema, JSONObject:
		if r.ResponseFormat.Type == string(f) {
			return invalid("", "response_format",
				fmt.Sprintf("Invalid parameter: 'response_format' of type '%s' is not supported with this model.", f))
		}
	case Temperature:
		if t := r.Temperature; t != nil && *t != 1 {
			return invalid("unsupported_value", "temperature", fmt.Sprintf(
				"Unsupported value: 'temperature' does not support %g with this model. Only the default (1) value is supported.", *t))
		}
	case MaxTokens:
		if r.MaxTokens != nil {
			return invalid("unsupported_parameter", "max_tokens",
				"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
		}
	case Tools:
		if len(r.Tools) > 0 {
			return invalid("", "tools", "tools is not supported with this model.")
		}
	case StreamOptions:
		if r.StreamOptions != nil {
			return invalid("unknown_parameter", "stream_options", "Unknown parameter: 'stream_options'.")
		}
	}
	return nil
}

func (r *chatRequest) mentionsJSON() bool {
	for _, m := range r.Messages {
		for _, word := range []string{"JSON", "json", "Json"} {
			if strings.Contains(m.Content.text, word) {
				return true
			}
		}
	}
	return false
}

// tokenLimit is the answer's, reasoning included; 0 means none.
func (r *chatRequest) tokenLimit() int {
	for _, n := range []*int{r.MaxCompletionTokens, r.MaxTokens} {
		if n != nil && *n > 0 {
			return *n
		}
	}
	return 0
}

// schema is the JSON Schema asked for, nil where none is.
func (r *chatRequest) schema() jsontext.Value {
	if r.ResponseFormat.Type != "json_schema" {
		return nil
	}
	return r.ResponseFormat.JSONSchema.Schema
}
