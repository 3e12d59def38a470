package agent

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

var note = regexp.MustCompile(`\n\[… (\d+) characters left out\]\n`)

// wantShortened checks that got is want with its middle cut out, and noted.
func wantShortened(t tester, got, want string) {
	t.Helper()
	at := note.FindStringSubmatchIndex(got)
	if at == nil {
		t.Fatalf("no note in %q", got)
	}
	head, tail := got[:at[0]], got[at[1]:]
	if !strings.HasPrefix(want, head) || !strings.HasSuffix(want, tail) {
		t.Fatalf("%q is not made of the ends of %q", got, want)
	}
	n, _ := strconv.Atoi(got[at[2]:at[3]])
	if all := utf8.RuneCountInString(want); utf8.RuneCountInString(head)+n+utf8.RuneCountInString(tail) != all {
		t.Fatalf("%d characters are said to be left out of %d: %q", n, all, got)
	}
}

var longText = rapid.Custom(func(t *rapid.T) string {
	return strings.Repeat(rapid.SampledFrom([]string{"word ", "日本語、", "x1; ", "Été\n"}).Draw(t, "of"), rapid.IntRange(0, 400).Draw(t, "times"))
})

func TestShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(longText, 0, 6).Draw(t, "texts")
		room := rapid.IntRange(-10, 1500).Draw(t, "room")
		total, longest := 0, 0
		for _, text := range texts {
			total += tokens(text)
			longest = max(longest, tokens(text))
		}
		shared, ok := share(texts, room)
		if !ok {
			if total <= room || room >= minShare*len(texts) {
				t.Fatalf("refused, with room for %d", room)
			}
			return
		}
		sum, most := 0, 0
		for i, text := range shared {
			sum += tokens(text)
			if text != texts[i] {
				wantShortened(t, text, texts[i])
				most = max(most, tokens(text))
			}
		}
		if sum > max(room, 0) {
			t.Fatalf("%d tokens in room for %d", sum, room)
		}
		for i, text := range shared {
			if text == texts[i] && most > 0 && tokens(text) > most+noteTokens+4 {
				t.Fatalf("a text of %d tokens is whole, and one was cut to %d", tokens(text), most)
			}
		}
		if total <= room && most > 0 {
			t.Fatal("shortened without need")
		}
	})
}

// One token too few is too few, however often the items stand in the prompt.
func TestNoRoomIsNone(t *testing.T) {
	d := &brief{system: "", user: func([]item) string { return "word" }, times: 2}
	enough := spent(d.messages(nil))
	if _, _, ok := d.fit(enough); !ok {
		t.Error("refused with room enough")
	}
	if _, _, ok := d.fit(enough - 1); ok {
		t.Error("taken with one token too few")
	}
}

// Whatever the window, a worker's prompt fits it or is refused before a call,
// and what the subtask is about is in it whole.
func TestAWorkersPromptFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := testSpec()
		window := rapid.IntRange(300, 6000).Draw(t, "window")
		spec.Models[1].ContextWindow = window
		spec.Worker.MaxTokens = rapid.SampledFrom([]int{0, 200, 9000}).Draw(t, "max_tokens")
		spec.Task = "task: " + longText.Draw(t, "task")
		if rapid.Bool().Draw(t, "own prompt") {
			spec.Worker.Prompt = rapid.SampledFrom([]string{"{original_task}{task_description}", "{original_task}{dependencies}-{dependencies}{task_description}"}).Draw(t, "prompt")
		}
		c := orchestration.Work{Subtask: orchestration.Subtask{ID: "T9", Description: "Do: " + longText.Draw(t, "description")}, Attempt: 1}
		whole := 0
		for i, text := range rapid.SliceOfN(longText, 0, 5).Draw(t, "dependencies") {
			c.Dependencies = append(c.Dependencies, orchestration.Result{ID: "T" + strconv.Itoa(i), Type: "x", Status: orchestration.StatusSucceeded, Output: orchestration.Text{Whole: text, Bytes: len(text)}})
			whole += tokens(text)
		}
		m := model(says("done"))
		said := performWork(t, m, spec, c)
		if said.Failure != nil {
			wantFailure(t, said.Failure, orchestration.CodeContextTooLong, false)
			if len(m.sent) > 0 {
				t.Fatal("a refused prompt was sent")
			}
			return
		}
		req := m.sent[0]
		reserve := req.MaxTokens
		if reserve == 0 {
			reserve = min(window/4, maxReserve)
		}
		if n := spent(req.Messages); n+reserve > window {
			t.Fatalf("%d tokens and %d for the answer, in a window of %d", n, reserve, window)
		}
		text := m.last(0)
		if !strings.Contains(text, spec.Task) || !strings.Contains(text, c.Subtask.Description) {
			t.Fatal("the task or the description was cut")
		}
		if said.Shortened != note.MatchString(text) {
			t.Fatalf("shortened is %v", said.Shortened)
		}
	})
}

func bigDependency(words int) orchestration.Work {
	r := facts
	r.Output = whole(strings.Repeat("word ", words))
	return orchestration.Work{Subtask: formal, Attempt: 1, Dependencies: []orchestration.Result{r}}
}

// A provider that finds a prompt too long teaches us its window.
func TestAWindowIsLearnt(t *testing.T) {
	for name, named := range map[string]int{"named": 2000, "not named": 0, "named but no explanation": 100_000} {
		t.Run(name, func(t *testing.T) {
			m := model(fails(&llm.Error{Outcome: llm.ContextTooLong, Window: named}), says("done"))
			a := New(Options{Client: m, Texts: &shelf{}})
			work := func() orchestration.Worked {
				return a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: testSpec(), Command: bigDependency(5000)}).(orchestration.Worked)
			}
			said := work()
			wantFailure(t, said.Failure, orchestration.CodeContextTooLong, true)
			if len(said.Calls) != 1 || said.Calls[0].Outcome != "context_too_long" {
				t.Errorf("calls: %+v", said.Calls)
			}
			said = work()
			wantFailure(t, said.Failure, "", false)
			first, second := spent(m.sent[0].Messages), spent(m.sent[1].Messages)
			if !said.Shortened || second >= first || named == 2000 && second > named {
				t.Errorf("%d tokens after %d, shortened: %v", second, first, said.Shortened)
			}
		})
	}
}

// A request that is too long with its images says nothing of how long texts may be,
// unless the provider names its window: a proxy may count bytes, and others' prompts
// would be cut for it.
func TestNoWindowIsLearntFromImages(t *testing.T) {
	for name, named := range map[string]int{"named": 1600, "not named": 0, "named but no explanation": 100_000} {
		t.Run(name, func(t *testing.T) {
			m := model(fails(&llm.Error{Outcome: llm.ContextTooLong, Window: named}), says("done"))
			a := New(Options{Client: m, Texts: &shelf{attachments: [][]byte{make([]byte, 5<<20)}}})
			spec := testSpec()
			spec.Attachments = []orchestration.Attachment{{MediaType: "image/png"}}
			said := a.Perform(t.Context(), orchestration.Performance{Run: "run_1", Spec: spec, Command: orchestration.Work{Subtask: formal, Attempt: 1}}).(orchestration.Worked)
			wantFailure(t, said.Failure, orchestration.CodeContextTooLong, false) // the images are not made smaller
			said = a.Perform(t.Context(), orchestration.Performance{Run: "run_2", Spec: testSpec(), Command: bigDependency(5000)}).(orchestration.Worked)
			wantFailure(t, said.Failure, "", false)
			if said.Shortened != (name == "named") {
				t.Errorf("shortened: %v", said.Shortened)
			}
		})
	}
}

func TestWhatCannotBeShortenedIsNotTriedAgain(t *testing.T) {
	tooLong := fails(&llm.Error{Outcome: llm.ContextTooLong, Window: 100})
	work := performWork(t, model(tooLong), testSpec(), orchestration.Work{Subtask: formal, Attempt: 1})
	wantFailure(t, work.Failure, orchestration.CodeContextTooLong, false)
	plan := performPlan(t, model(tooLong), testSpec(), orchestration.MakePlan{Attempt: 1})
	wantFailure(t, plan.Failure, orchestration.CodeContextTooLong, false)
	synthesis := performSynthesis(t, model(tooLong), testSpec(), orchestration.Synthesize{Attempt: 1, Results: []orchestration.Result{facts}})
	wantFailure(t, synthesis.Failure, orchestration.CodeContextTooLong, false)
}

func TestWindowsOnlyShrink(t *testing.T) {
	var w windows
	m := orchestration.Model{Name: "m", ContextWindow: 8000}
	for _, step := range []struct{ named, sent, want int }{
		{0, 20_000, 8000}, // 15,000 is no news
		{4000, 7000, 4000},
		{6000, 7000, 4000},
		{4000, 3000, 2250},
	} {
		w.lower("m", step.named, step.sent)
		if got := w.of(m); got != step.want {
			t.Errorf("after %+v: %d", step, got)
		}
	}
	if w.of(orchestration.Model{Name: "other", ContextWindow: 5}) != 5 {
		t.Error("another model was lowered")
	}
}

// What was guessed from one odd text does not bind all others for good; what a provider
// has named does.
func TestAGuessOfAWindowIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w windows
		m := orchestration.Model{Name: "m", ContextWindow: 8000}
		w.lower("m", 6000, 7000)
		w.lower("m", 0, 4000)
		time.Sleep(guessKept - time.Second)
		if got := w.of(m); got != 3000 {
			t.Errorf("%d at first", got)
		}
		w.lower("m", 0, 7900) // says nothing new
		time.Sleep(time.Second)
		if got := w.of(m); got != 6000 {
			t.Errorf("%d in the end", got)
		}
	})
}

func TestFits(t *testing.T) {
	spec := testSpec()
	spec.Task = strings.Repeat("word ", 10_000)
	if fault := Fits(spec); fault != nil {
		t.Errorf("an unknown window: %+v", fault)
	}
	spec.Models[0].ContextWindow = 8000
	if fault := Fits(spec); fault == nil || fault.Code != "context_too_long" || fault.Pointer != "/task" {
		t.Errorf("fault: %+v", fault)
	}
	spec.Plan = &orchestration.Plan{}
	if fault := Fits(spec); fault != nil {
		t.Errorf("no planner is asked: %+v", fault)
	}
	spec.Plan, spec.Task = nil, "short"
	if fault := Fits(spec); fault != nil {
		t.Errorf("a short task: %+v", fault)
	}
	spec.Attachments = make([]orchestration.Attachment, 6)
	if fault := Fits(spec); fault == nil {
		t.Error("six images fit into 8,000 tokens")
	}
}
