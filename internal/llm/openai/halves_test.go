package openai

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tutti-run/tutti/internal/llm"
)

// units writes a text as programs do that cut it by UTF-16, one unit a piece.
func units(text, before, after string) []string {
	var pieces []string
	for _, unit := range utf16.Encode([]rune(text)) {
		escaped := fmt.Sprintf(`\u%04x`, unit)
		if unit == '\\' || unit == '"' {
			escaped = `\` + string(rune(unit))
		}
		pieces = append(pieces, before+escaped+after)
	}
	return pieces
}

// A letter that an endpoint has cut in two is one letter.
func TestHalvesOfLetters(t *testing.T) {
	const text = `😀 a 👩‍🚀, \𝄞" 한 "\ud83d"`
	said := units(text, `{"choices":[{"index":0,"delta":{"content":"`, `"}}]}`)
	asked := units(`{"q":"😀"}`, `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"`, `"}}]}}]}`)
	call := `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}}]}`
	for name, test := range map[string]struct {
		pieces []string
		text   string
		calls  []llm.ToolCall
	}{
		"of a text": {pieces: said, text: text},
		"of a call": {pieces: append([]string{call}, asked...), calls: []llm.ToolCall{{ID: "c", Name: "f", Arguments: `{"q":"😀"}`}}},
		"with something between them": {
			pieces: []string{delta("a") + "\n\ndata: " + said[0], `{"choices":[]}`, `{"choices":[{"delta":{"content":""}}]}`, said[1], delta("b")},
			text:   "a😀b",
		},
		"in longer pieces":    {pieces: []string{`{"choices":[{"delta":{"content":"a\uD83D"}}]}`, `{"choices":[{"delta":{"content":"\uDE00b\ud83d"}}]}`, `{"choices":[{"delta":{"content":"\ude01"}}]}`}, text: "a😀b😁"},
		"written, not meant":  {pieces: []string{`{"choices":[{"delta":{"content":"a\\ud83d"}}]}`, `{"choices":[{"delta":{"content":"\\ude00"}}]}`}, text: `a\ud83d\ude00`},
		"without the other":   {pieces: []string{`{"choices":[{"delta":{"content":"a\ud83d"}}]}`, delta("b")}, text: "ab"},
		"the other one alone": {pieces: []string{delta("a"), `{"choices":[{"delta":{"content":"\ude00b"}}]}`}, text: "a\ufffdb"},
		"the wrong way round": {pieces: []string{`{"choices":[{"delta":{"content":"\ude00"}}]}`, `{"choices":[{"delta":{"content":"\ud83d"}}]}`, delta("a")}, text: "\ufffda"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{{body: sse(append(test.pieces, stop, "[DONE]")...)}}}
			req := streamed()
			var pieces strings.Builder
			req.OnText = func(text string) { pieces.WriteString(text) }
			resp, err := dial(t, s.ServeHTTP).Chat(t.Context(), req)
			if err != nil || resp.Text != test.text || pieces.String() != test.text || fmt.Sprint(resp.ToolCalls) != fmt.Sprint(test.calls) {
				t.Errorf("got %+v, %v; shown %q, want %q", resp, err, pieces.String(), test.text)
			}
		})
	}
}
