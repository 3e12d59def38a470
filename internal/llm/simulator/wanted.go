package simulator

import (
	"strconv"
	"strings"
)

// wanted returns the least and the most subtasks that a prompt asks for, 0
// where it does not say: "at least 2", "at most 5", "2-3 distinct approaches",
// "between two and four". A number counts only where a word for a subtask is
// near, and no unit ("words") stands between.
func wanted(prompt string) (least, most int) {
	words := strings.FieldsFunc(strings.ToLower(prompt), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n.,;:()[]{}<>\"'`*#=", r)
	})
	for i := range words {
		lo, hi, last := rangeAt(words, i)
		if (lo == 0 && hi == 0) || lo > maxSubtasks || hi > maxSubtasks || !countsSubtasks(words, i, last) {
			continue
		}
		if least == 0 {
			least = lo
		}
		if most == 0 {
			most = hi
		}
	}
	if most > 0 {
		least = min(least, most)
	}
	return least, most
}

// rangeAt reads the phrase about a number that starts at words[i], and says
// where it ends. Bounds that it does not set are 0.
func rangeAt(words []string, i int) (lo, hi, last int) {
	at := func(k int) string {
		if k < 0 || k >= len(words) {
			return ""
		}
		return words[k]
	}
	switch n := number(at(i + 2)); at(i) + " " + at(i+1) {
	case "at least", "minimum of", "least of":
		return n, 0, i + 2
	case "at most", "maximum of":
		return 0, n, i + 2
	case "more than":
		if at(i-1) == "no" {
			return 0, n, i + 2
		}
	case "fewer than", "less than":
		if at(i-1) == "no" {
			return n, 0, i + 2
		}
	}
	n := number(at(i + 1))
	switch at(i) {
	case "exactly":
		return n, n, i + 1
	case "upto", "maximum", "max":
		return 0, n, i + 1
	case "minimum", "min":
		return n, 0, i + 1
	case "up":
		if at(i+1) == "to" {
			return 0, number(at(i + 2)), i + 2
		}
	}
	for _, dash := range []string{"-", "–", "—"} {
		if a, b, found := strings.Cut(at(i), dash); found && number(a) > 0 && number(b) >= number(a) {
			return number(a), number(b), i
		}
	}
	a, b := number(at(i)), number(at(i+2))
	if join := at(i + 1); a > 0 && b >= a && (join == "to" || join == "or" || join == "and" && at(i-1) == "between") {
		return a, b, i + 2
	}
	return 0, 0, i
}

var numberWords = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

func number(word string) int {
	for n, w := range numberWords {
		if w == word {
			return n
		}
	}
	if word == "" || len(word) > 4 || word[0] < '0' || word[0] > '9' {
		return 0
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		return 0
	}
	return n
}

// Beginnings of the words that a number near a prompt's plan may count.
var (
	subtaskWords = []string{"subtask", "task", "step", "approach", "part", "variation", "version", "perspective", "angle", "item", "element"}
	unitWords    = []string{"word", "char", "sentence", "paragraph", "token", "page", "line", "second", "minute", "hour", "day", "byte", "time", "percent", "%", "depend", "id"}
)

// countsSubtasks says whether the number at words[first..last] is about
// subtasks: by the next telling word after it, else by one before it.
func countsSubtasks(words []string, first, last int) bool {
	const near = 6
	for _, w := range words[last+1 : min(len(words), last+1+near)] {
		if begins(w, subtaskWords) {
			return true
		}
		if begins(w, unitWords) {
			return false
		}
	}
	for _, w := range words[max(0, first-near):first] {
		if begins(w, subtaskWords) {
			return true
		}
	}
	return false
}

func begins(word string, with []string) bool {
	for _, w := range with {
		if strings.HasPrefix(word, w) {
			return true
		}
	}
	return false
}
