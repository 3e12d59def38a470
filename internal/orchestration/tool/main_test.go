package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// TestMain also is the MCP server that the tests start, by this variable.
func TestMain(m *testing.M) {
	if how := os.Getenv("TOOL_TEST_SERVER"); how != "" {
		serve(how)
		return
	}
	goleak.VerifyTestMain(m)
}

// secretText is what must never be seen.
const secretText = "hunter2-of-nobody"

const anyObject = `{"type":"object"}`

// serve is an MCP server over stdin and stdout.
func serve(how string) {
	switch how {
	case "silent": // says nothing and ignores what it is told
		time.Sleep(time.Hour)
	case "chatter": // writes without an end
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	default:
		_ = newMCPServer().Run(context.Background(), &mcp.StdioTransport{})
	}
}

type in struct {
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"`
}

func newMCPServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	texts := func(texts ...string) *mcp.CallToolResult {
		r := &mcp.CallToolResult{}
		for _, t := range texts {
			r.Content = append(r.Content, &mcp.TextContent{Text: t})
		}
		return r
	}
	add := func(name string, do func(ctx context.Context, r *mcp.CallToolRequest, a in) (*mcp.CallToolResult, error)) {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: "does " + name}, func(ctx context.Context, r *mcp.CallToolRequest, a in) (*mcp.CallToolResult, any, error) {
			result, err := do(ctx, r, a)
			return result, nil, err
		})
	}
	add("echo", func(_ context.Context, _ *mcp.CallToolRequest, a in) (*mcp.CallToolResult, error) {
		return texts(a.Text, "twice: "+a.Text), nil
	})
	add("key", func(_ context.Context, r *mcp.CallToolRequest, _ in) (*mcp.CallToolResult, error) {
		return texts(fmt.Sprint(r.Params.Meta["idempotency-key"])), nil
	})
	add("many", func(_ context.Context, _ *mcp.CallToolRequest, a in) (*mcp.CallToolResult, error) {
		return texts(strings.Repeat("x", a.N)), nil
	})
	add("fail", func(_ context.Context, _ *mcp.CallToolRequest, a in) (*mcp.CallToolResult, error) {
		return nil, errors.New("no luck with " + a.Text + " and " + os.Getenv("API_TOKEN"))
	})
	add("environment", func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, error) {
		return texts(strings.Join(os.Environ(), "\n")), nil
	})
	add("die", func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, error) {
		os.Exit(3)
		return nil, nil
	})
	add("hang", func(ctx context.Context, _ *mcp.CallToolRequest, _ in) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	add("freeze", func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, error) {
		select {}
	})
	add("picture", func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.ImageContent{Data: []byte("x"), MIMEType: "image/png"}}}, nil
	})
	add("files/read.all", func(_ context.Context, _ *mcp.CallToolRequest, a in) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///a", Text: "of a file"}}}}, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "structured"}, func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, map[string]any, error) {
		return nil, map[string]any{"b": "<1>", "a": []int{1, 2}}, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "rows"}, func(_ context.Context, _ *mcp.CallToolRequest, a in) (*mcp.CallToolResult, map[string]any, error) {
		return nil, map[string]any{"rows": slices.Repeat([]map[string]string{{"a": "b"}}, a.N)}, nil
	})
	return s
}

// stdio is the Config of such a server.
func stdio(how string) Config {
	return Config{
		Name: "local", Timeout: 20 * time.Second,
		MCP: &MCP{Command: []string{os.Args[0]}, Env: map[string]Value{"TOOL_TEST_SERVER": {Plain: how}, "API_TOKEN": {Secret: secretText}}},
	}
}

// here is the Config of a tool on this machine, which is allowed by name.
func here(url string) Config {
	return Config{
		Name: "web", Description: "asks the web", Schema: json.RawMessage(anyObject), AllowPrivate: []string{"127.0.0.1"}, Timeout: 20 * time.Second,
		HTTP: &HTTP{URL: url, Headers: map[string]Value{"Authorization": {Plain: "Bearer ", Secret: secretText}}},
	}
}

func website(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// An observer remembers what a Set told it.
type observer struct {
	mu   sync.Mutex
	seen []string
}

func (o *observer) observe(tool string, outcome Outcome, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if took < 0 {
		outcome = "negative"
	}
	o.seen = append(o.seen, tool+" "+string(outcome))
}

func (o *observer) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) == 0 {
		return ""
	}
	return o.seen[len(o.seen)-1]
}

func open(t *testing.T, configs ...Config) (*Set, *observer) {
	t.Helper()
	o := &observer{}
	s, err := Open(t.Context(), Options{Tools: configs, Observe: o.observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, o
}

// want checks a failure, and that it is fit to be shown.
func want(t *testing.T, f *orchestration.Failure, code orchestration.Code, retryable bool, detail string) {
	t.Helper()
	if f == nil {
		t.Fatal("it did not fail")
	}
	if f.Code != code || f.Retryable != retryable || !strings.Contains(f.Detail, detail) {
		t.Errorf("got %+v, want %s, retryable %v, %q", f, code, retryable, detail)
	}
	if len(f.Detail) > maxDetail+len("…") || strings.Contains(f.Detail, secretText) || strings.ContainsAny(f.Detail, "\n\r") {
		t.Errorf("the detail cannot be shown: %q", f.Detail)
	}
}
