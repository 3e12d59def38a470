package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// A contract is openapi.yaml as requests are held to it: compiled once.
type contract struct {
	operations map[string]*operation // by method and route pattern: "GET /v1/runs/{id}"
}

// An operation of the contract.
type operation struct {
	id         string
	open       bool // needs no API key
	parameters []parameter
	body       *jsonschema.Schema // nil: takes none
	mustBody   bool
	json       bool // every answer that succeeds can be JSON
}

// A parameter of an operation, in its path, query or headers.
type parameter struct {
	name, in string
	required bool
	list     bool   // may be given several times
	simple   string // JSON type of one value
	schema   *jsonschema.Schema
}

const contractURL = "tutti:///openapi.yaml"

// document is the part of openapi.yaml that says how requests are checked.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]parameterObject `json:"parameters"`
	} `json:"components"`
}

type operationObject struct {
	OperationID string                `json:"operationId"`
	Security    *[]json.RawMessage    `json:"security"`
	Parameters  []parameterObject     `json:"parameters"`
	RequestBody *requestBodyObject    `json:"requestBody"`
	Responses   map[string]mediaTypes `json:"responses"`
}

type parameterObject struct {
	Ref      string `json:"$ref"`
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
	Schema   struct {
		Type string `json:"type"`
	} `json:"schema"`
}

type requestBodyObject struct {
	Required bool `json:"required"`
}

type mediaTypes struct {
	Content map[string]json.RawMessage `json:"content"`
}

// theContract is openapi.yaml, compiled when it is first asked for.
var theContract = sync.OnceValues(readContract)

// readContract compiles openapi.yaml.
func readContract() (*contract, error) {
	var tree any
	if err := yaml.Unmarshal(tutti.OpenAPI, &tree); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	compiler.AssertFormat()
	if err := compiler.AddResource(contractURL, whole); err != nil {
		return nil, err
	}
	c := &contract{operations: make(map[string]*operation)}
	for path, item := range doc.Paths {
		if err := c.addPath(&doc, compiler, path, item); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return c, nil
}

// noLoader keeps schemas from naming files and addresses.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, errors.New("not loaded: " + url) }

func (c *contract) addPath(doc *document, compiler *jsonschema.Compiler, path string, item map[string]json.RawMessage) error {
	var shared []parameterObject
	if raw, ok := item["parameters"]; ok {
		if err := json.Unmarshal(raw, &shared); err != nil {
			return err
		}
	}
	for method, raw := range item {
		if method == "parameters" {
			continue
		}
		var object operationObject
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
		at := contractURL + "#/paths/" + escape(path)
		op := &operation{id: object.OperationID, open: object.Security != nil && len(*object.Security) == 0, json: producesJSON(object)}
		if err := op.addParameters(doc, compiler, shared, at+"/parameters/"); err != nil {
			return err
		}
		at += "/" + method
		if err := op.addParameters(doc, compiler, object.Parameters, at+"/parameters/"); err != nil {
			return err
		}
		if object.RequestBody != nil {
			var err error
			op.mustBody = object.RequestBody.Required
			if op.body, err = compiler.Compile(at + "/requestBody/content/application~1json/schema"); err != nil {
				return err
			}
			schema.Bound(op.body, maxFaults)
		}
		c.operations[strings.ToUpper(method)+" "+path] = op
	}
	return nil
}

func producesJSON(object operationObject) bool {
	for status, response := range object.Responses {
		if _, ok := response.Content["application/json"]; strings.HasPrefix(status, "2") && ok {
			return object.OperationID != "getGraph" // its format is asked for by name
		}
	}
	return false
}

func (op *operation) addParameters(doc *document, compiler *jsonschema.Compiler, objects []parameterObject, at string) error {
	for i, o := range objects {
		url := at + fmt.Sprint(i) + "/schema"
		if name, ok := strings.CutPrefix(o.Ref, "#/components/parameters/"); ok {
			o, url = doc.Components.Parameters[name], contractURL+"#/components/parameters/"+name+"/schema"
		}
		switch o.Name {
		case "X-Request-Id", "traceparent", "Prefer":
			continue // what is not understood of them is ignored, as their standards ask
		}
		compiled, err := compiler.Compile(url)
		if err != nil {
			return err
		}
		p := parameter{name: o.Name, in: o.In, required: o.Required, schema: compiled, simple: o.Schema.Type}
		if p.list = o.Schema.Type == "array"; p.list {
			p.simple = "string"
		}
		op.parameters = append(op.parameters, p)
	}
	return nil
}

// operationFor returns the operation of a route. HEAD is asked for as GET.
func (c *contract) operationFor(method, pattern string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return c.operations[method+" "+pattern]
}

// escape makes a key a part of a JSON Pointer: its beginning, as a caller's key may be
// as long as a body, and each fault below it has it in its pointer.
func escape(key string) string {
	const most = 100
	if len(key) > most {
		key = strings.ToValidUTF8(key[:most], "") + "…"
	}
	return escapes.Replace(key)
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1") // one takes 10 kB to build
