package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
)

// locate finds the operation that a request asks for.
func (s *server) locate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		if x.operation = s.contract.operationFor(r.Method, chi.RouteContext(r.Context()).RoutePattern()); x.operation == nil {
			s.notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hold lets only requests pass that are as the contract says. Everything that
// is wrong with their parameters, or else with their body, is said at once.
func (s *server) hold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		if x.operation.open { // probes and scrapers add what they like
			next.ServeHTTP(w, r)
			return
		}
		if s.Standby != nil && s.Standby() {
			s.fail(w, r, problem(codeStorageUnavailable, "This server stands by: another one has the journal."))
			return
		}
		if x.operation.json && !acceptable(r, x.operation) {
			s.fail(w, r, problem(codeInvalidRequest, "There is no representation of a type that Accept allows.").with(http.StatusNotAcceptable))
			return
		}
		// Before the body is read, let alone images are fetched. One with a key may
		// ask for a run that there is.
		if x.operation.id == "createRun" && r.Header.Get("Idempotency-Key") == "" {
			if err := s.Driver.Room(x.tenant); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		faults := parameterFaults(x.operation, r)
		if x.operation.body != nil && len(faults) == 0 {
			var err error
			if faults, err = x.readBody(w, r); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) { // of the server's ReadTimeout
					err = problem(codeInvalidRequest, "The body did not come in time.").with(http.StatusRequestTimeout)
				}
				s.fail(w, r, err)
				return
			}
		}
		if len(faults) > 0 {
			s.fail(w, r, invalid(faults))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func acceptable(r *http.Request, op *operation) bool {
	if op.id == "createRun" || op.id == "listEvents" {
		return negotiate(r, typeJSON, typeEvents) != ""
	}
	return negotiate(r, typeJSON) != ""
}

// readBody reads and checks the request's body, and leaves it to be read again.
func (x *exchange) readBody(w http.ResponseWriter, r *http.Request) ([]Fault, error) {
	images := x.operation.id == "createRun"
	most := int64(maxBody)
	if images {
		most += maxData
	}
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	body := bufio.NewReaderSize(http.MaxBytesReader(w, r.Body, most+1), 1) // large enough to look whether there is any
	if r.ContentLength == 0 || r.Body == http.NoBody || r.ContentLength < 0 && empty(body) {
		if x.operation.mustBody {
			return []Fault{{Code: "required", Detail: "the request needs a body"}}, nil
		}
		return nil, nil
	}
	media, err := mediaType(r)
	switch {
	case err != nil:
		return nil, err
	case media == typeJSON:
	case x.operation.id == "validateWorkflow" && (media == "application/yaml" || media == "text/yaml"):
		x.raw, err = readText(body)
		return nil, err
	default:
		return nil, badType("The body must be application/json, and Content-Type say so.")
	}
	var value any
	if x.raw, value, err = readStrict(body, images); err != nil {
		return nil, err
	}
	x.unread = bytes.NewReader(x.raw)
	r.Body = io.NopCloser(x.unread)
	return check(x.operation.body, value, ""), nil
}

// empty reports whether there is nothing to be read.
func empty(body *bufio.Reader) bool {
	_, err := body.Peek(1)
	return errors.Is(err, io.EOF)
}

func badType(detail string) *Problem {
	return problem(codeInvalidRequest, detail).with(http.StatusUnsupportedMediaType)
}

// mediaType returns what a body says that it is. It must be in UTF-8, as it is.
func mediaType(r *http.Request) (string, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", badType("The body must not be encoded: no Content-Encoding is supported.")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", badType("The body needs a Content-Type that says what it is.")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", badType("The body must be in UTF-8.")
	}
	return media, nil
}

// readText reads a body that is no JSON to its end.
func readText(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBody:
		return nil, errTooLarge
	case !utf8.Valid(text):
		return nil, invalid([]Fault{{Code: "invalid_utf8", Detail: "must be in UTF-8"}})
	}
	return text, nil
}

// parameterFaults holds the path, the query and the headers to the contract.
func parameterFaults(op *operation, r *http.Request) []Fault {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return []Fault{{Pointer: "query", Code: "invalid_format", Detail: "the query is malformed"}}
	}
	var faults []Fault
	for i := range op.parameters {
		p := &op.parameters[i]
		var values []string
		switch p.in {
		case "query":
			values = query[p.name]
			delete(query, p.name)
		case "header":
			values = r.Header.Values(p.name)
		case "path":
			continue // any text that names nothing is not found
		}
		faults = append(faults, p.faults(values)...)
	}
	for name := range query {
		faults = append(faults, Fault{Pointer: "query/" + escape(name), Code: "unknown_parameter", Detail: "unknown query parameter"})
	}
	return faults[:min(len(faults), maxFaults)]
}

func (p *parameter) faults(values []string) []Fault {
	at := p.in + "/" + p.name
	if len(values) == 0 {
		if p.required {
			return []Fault{{Pointer: at, Code: "required", Detail: "required"}}
		}
		return nil
	}
	if p.list {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		return check(p.schema, list, at)
	}
	if len(values) > 1 {
		return []Fault{{Pointer: at, Code: "too_many", Detail: "given more than once"}}
	}
	var value any = values[0]
	switch p.simple {
	case "integer":
		if _, err := strconv.ParseInt(values[0], 10, 64); err != nil {
			return []Fault{{Pointer: at, Code: "wrong_type", Detail: "must be of type integer"}}
		}
		value = json.Number(values[0])
	case "boolean":
		if values[0] != "true" && values[0] != "false" {
			return []Fault{{Pointer: at, Code: "wrong_type", Detail: "must be true or false"}}
		}
		value = values[0] == "true"
	}
	return check(p.schema, value, at)
}
