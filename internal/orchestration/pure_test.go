package orchestration

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPure holds the core to its rule: it decides and does nothing. A clock, a
// random number, a goroutine's context, a file or a log line has to come in as
// an input or go out as a command. It may use what is as pure as it is.
func TestPure(t *testing.T) {
	pure := []string{"github.com/tutti-run/tutti/internal/quote", "github.com/go-json-experiment/json/jsontext"}
	unwelcome := []string{"context", "net", "os", "log", "io", "sync", "math/rand", "crypto/rand", "github.com", "go.uber.org"}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if !slices.Contains(pure, path) && slices.ContainsFunc(unwelcome, func(u string) bool { return path == u || strings.HasPrefix(path, u+"/") }) {
				t.Errorf("%s imports %s: the core may not", name, path)
			}
		}
	}
}
