// Package readme holds the README to its word: its console sessions are typed
// into a real shell, against a real server, and must show what they show.
//
//	go test ./test/readme -rewrite
//
// writes down what they show now.
package readme

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/test/service"
)

var rewrite = flag.Bool("rewrite", false, "write the sessions anew")

const (
	file    = "../../README.md"
	address = "127.0.0.1:8080" // that readers type; the test has another one
	end     = "==end of what was shown=="
)

var (
	sessions = regexp.MustCompile("(?s)```console\n(.*?)```\n")
	// What differs from one time to the next.
	varying = []struct {
		form *regexp.Regexp
		name string
	}{
		{regexp.MustCompile(`run_[0-9a-f]{32}`), "RUN"},
		{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	}
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// TestSessions types all sessions into one shell, in order.
func TestSessions(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	workflows, err := filepath.Abs("../../workflows")
	if err != nil {
		t.Fatal(err)
	}
	s := service.Start(t, "TUTTI_WORKFLOWS="+workflows)
	found := sessions.FindAllSubmatchIndex(text, -1)
	if len(found) == 0 {
		t.Fatal("there are no sessions")
	}
	var typed []string
	for _, at := range found {
		typed = append(typed, commands(string(text[at[2]:at[3]]))...)
	}
	shown := typeIn(t, typed, strings.TrimPrefix(s.URL, "http://"))

	var fresh bytes.Buffer
	written := 0
	for _, at := range found {
		session := string(text[at[2]:at[3]])
		n := len(commands(session))
		var now strings.Builder
		for i := range n {
			now.WriteString("$ " + typed[i] + "\n" + shown[i])
		}
		typed, shown = typed[n:], shown[n:]
		if !*rewrite {
			if diff := cmp.Diff(steady(session), steady(now.String())); diff != "" {
				t.Errorf("a session shows something else now; if that is right, go test ./test/readme -rewrite (-README +now):\n%s", diff)
			}
		}
		fresh.Write(text[written:at[2]])
		fresh.WriteString(now.String())
		written = at[3]
	}
	fresh.Write(text[written:])
	if *rewrite {
		if err := os.WriteFile(file, fresh.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// commands returns what is typed in a session: the lines that begin with "$ ",
// with those that they go on in.
func commands(session string) []string {
	var list []string
	open := false
	for line := range strings.Lines(session) {
		line = strings.TrimSuffix(line, "\n")
		command, typed := strings.CutPrefix(line, "$ ")
		switch {
		case typed:
			list = append(list, command)
		case open:
			list[len(list)-1] += "\n" + line
		}
		open = (typed || open) && strings.HasSuffix(line, `\`)
	}
	return list
}

// typeIn types commands into one shell and returns what it shows after each.
func typeIn(t *testing.T, commands []string, addr string) []string {
	t.Helper()
	var script strings.Builder
	for _, command := range commands {
		script.WriteString(strings.ReplaceAll(command, address, addr) + "\necho '" + end + "'\n")
	}
	cmd := exec.Command("bash", "-o", "pipefail")
	cmd.Dir = "../.."
	cmd.Stdin = strings.NewReader(script.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	text := strings.NewReplacer("\r", "", addr, address).Replace(out.String())
	shown := strings.Split(text, end+"\n")
	for i, part := range shown {
		if part != "" && !strings.HasSuffix(part, "\n") {
			shown[i] += "\n"
		}
	}
	if len(shown) != len(commands)+1 {
		t.Fatalf("%d commands showed %d things\n%s", len(commands), len(shown)-1, text)
	}
	return shown[:len(commands)]
}

// steady returns text with what differs each time replaced.
func steady(text string) string {
	for _, v := range varying {
		text = v.form.ReplaceAllString(text, v.name)
	}
	return text
}
