package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var began = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// event makes a frame of a subtask, some seconds after the beginning.
func event(seconds float64, kind, subtask string) frame {
	return frame{Type: kind, SubtaskID: subtask, Time: began.Add(time.Duration(seconds * float64(time.Second)))}
}

func added(id, kind, description string) frame {
	f := event(1, "plan.subtask_added", id)
	f.Data.Subtask.ID, f.Data.Subtask.Type, f.Data.Subtask.Description = id, kind, description
	return f
}

func story() []frame {
	planning := event(0, "plan.started", "")
	planning.Data.Model = "gpt-5"
	failing := event(3, "subtask.failed", "T2")
	failing.Data.Error.Code = "upstream_timeout"
	created := event(1, "plan.created", "")
	created.Data.Subtasks = []string{"T1", "T2"}
	return []frame{
		planning,
		added("T1", "formal", "Describe the\nbottle \x1b[31min red\x07 and in many more words than a line has room for"),
		added("T2", "playful", "Rhyme"),
		created,
		event(1, "subtask.started", "T1"),
		event(1, "subtask.started", "T2"),
		failing,
		event(3.5, "subtask.succeeded", "T1"),
	}
}

// On a terminal each row is drawn over itself, and nothing that a model wrote
// steers it.
func TestABoardOnATerminal(t *testing.T) {
	var out strings.Builder
	b := newBoard(&out, true)
	for _, f := range story() {
		b.show(f)
	}
	b.tick(began.Add(4 * time.Second))
	const clear = "\r\x1b[2K"
	screens := strings.Split(out.String(), "\x1b[3A")
	want := clear + "  planner      gpt-5                                planned 2 subtasks in 1s\n" +
		clear + "  T1           formal: Describe the bottle [31min … succeeded in 2.5s\n" +
		clear + "  T2           playful: Rhyme                       failed: upstream_timeout in…\n"
	if got := screens[len(screens)-1]; got != want {
		t.Errorf("the screen is\n%q, want\n%q", got, want)
	}
	for screen := range strings.SplitSeq(out.String(), "\n") {
		if line := screen[strings.LastIndex(screen, "K")+1:]; utf8.RuneCountInString(line) > 80 {
			t.Errorf("longer than a line: %q", line)
		}
	}
}

// What a composite subtask expands to stands under it, while it goes on.
func TestABoardOfEveryShape(t *testing.T) {
	child := func(id, parent string) frame {
		f := added(id, "", "Do it")
		f.Data.Subtask.Kind, f.Data.Subtask.Parent = "tool", parent
		return f
	}
	skipped, waiting, part, bad := event(2, "subtask.skipped", "T2"), event(2, "subtask.waiting", "T3"), event(2, "plan.created", "T1.2.b"), event(5, "subtask.compensated", "T2")
	skipped.Data.Detail = "Its condition is false."
	waiting.Data.Waiting.Message = "May it go?"
	part.Data.Subtasks = []string{"T1.2.b.1.c"}
	bad.Data.Error.Code = "tool_failed"
	var out strings.Builder
	b := newBoard(&out, true)
	for _, f := range []frame{
		added("T1", "", "Each"), added("T2", "writer", "Write"), added("T3", "", "Ask"), event(1, "subtask.started", "T1"), skipped, waiting,
		child("T1.1.a", "T1"), child("T1.2.b", "T1"), event(2, "subtask.started", "T1.2.b"), part, child("T1.2.b.1.c", "T1.2.b"), child("T1.3.d", "T1"),
	} {
		b.show(f)
	}
	screen := func() string {
		text := out.String()
		return strings.ReplaceAll(text[strings.LastIndex(text, "A\r")+1:], "\r\x1b[2K", "")
	}
	if got, want := screen(), `  T1           Each                                 works
   1.a         tool: Do it                          pending
   2.b         tool: Do it                          planned 1 subtasks in 0s
    1.c        tool: Do it                          pending
   3.d         tool: Do it                          pending
  T2           writer: Write                        skipped: Its condition is f…
  T3           Ask                                  waits: May it go?
`; got != want {
		t.Errorf("the screen is\n%swant\n%s", got, want)
	}
	b.show(event(4, "subtask.succeeded", "T1"))
	b.show(event(4, "subtask.compensated", "T1"))
	b.show(bad)
	if got, want := screen(), `  T1           Each                                 undone
  T2           writer: Write                        not undone: tool_failed
  T3           Ask                                  waits: May it go?
`; got != want {
		t.Errorf("the screen is\n%swant\n%s", got, want)
	}
	if !strings.Contains(out.String(), "\x1b[J") {
		t.Error("rows that are gone stay on the screen")
	}
}

// Elsewhere each change is a line.
func TestABoardInAFile(t *testing.T) {
	var out strings.Builder
	b := newBoard(&out, false)
	for _, f := range story() {
		b.show(f)
	}
	if got := strings.Count(out.String(), "\n"); got != 6 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d lines, want 6 without escapes:\n%s", got, out.String())
	}
}

func TestCallsAddUp(t *testing.T) {
	var out strings.Builder
	printCalls(&out, []call{{Role: "planner", Model: "m"}, {Role: "worker", subtask: "T1"}, {Role: "worker", subtask: "T2"}, {Role: "synthesizer"}})
	if want := "  4 calls: 1 planner + 2 workers + 1 synthesizer\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got\n%s", out.String())
	}
}

func TestAnswersAt(t *testing.T) {
	present := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	url := present.URL
	if !answersAt(t.Context(), url) {
		t.Error("a server was not found")
	}
	http.DefaultClient.CloseIdleConnections()
	present.Close()
	if answersAt(t.Context(), url) {
		t.Error("a server was found that is gone")
	}
}
