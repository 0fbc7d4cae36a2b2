/*
 * graph_refusals: every refusal of the text of a graph, and its bounds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

#define HEAD             "ptfold graph 1\ninput x f32 [N,3,8,8]\n"
#define AT(line, column) "g.txt: line " #line ", column " #column ": "

static const struct {
    const char *text;
    ptf_status status;
    const char *words;
} refusals[] = {
    {"ptfold graph 2\n", PTF_UNSUPPORTED,
     AT(1, 14) "expected version 1 of the text, got '2'"},
    {"ptfold graph \n", PTF_FORMAT, AT(1, 14) "expected the version"},
    {"ptfold graph 1 x\n", PTF_FORMAT,
     AT(1, 16) "expected the end of the line"},
    {"ptfold graph 1\n", PTF_FORMAT,
     AT(2, 1) "expected the output, got the "
              "end of the text"},
    {HEAD, PTF_FORMAT, AT(3, 1) "expected the output"},
    {"ptfold graph 1\ny = relu(x)\n", PTF_FORMAT,
     AT(2, 1) "expected an input before"},
    {"ptfold graph 1\noutput x\n", PTF_FORMAT,
     AT(2, 8) "expected a value of a line above, got 'x'"},
    {HEAD "y = relu(x)\ninput z f32\n", PTF_FORMAT,
     AT(4, 7) "expected inputs before all other values"},
    {HEAD "input x f32\n", PTF_FORMAT, AT(3, 7) "expected a name of its own"},
    {"ptfold graph 1\ninput x f32 [N,2]\ninput y f32 [2]\n", PTF_FORMAT,
     AT(3, 7) "expected the batch 'N' in the shapes of all inputs"},
    {HEAD "y = relu(x)\noutput y\noutput y\n", PTF_FORMAT,
     "two outputs have the name 'y'"},
    {HEAD "y = relu(x)\noutput p y\noutput q y also p\n", PTF_FORMAT,
     "two outputs have the name 'p'"},
    {HEAD "y = relu(x)\noutput p y float\n", PTF_FORMAT,
     AT(4, 12) "expected a dtype"},
    {HEAD "net a\nnet b\n", PTF_FORMAT, AT(4, 5) "expected one name"},
    {"ptfold graph 1\ninput x real\n", PTF_FORMAT, AT(2, 9) "expected a dtype"},
    {"ptfold graph 1\ninput x f32 [N,K]\n", PTF_FORMAT,
     AT(2, 16) "expected a size"},
    {"ptfold graph 1\ninput x f32 [N,1,1,1,1,1,1,1,1,1]\n", PTF_FORMAT,
     "at most 8"},
    {"ptfold graph 1\ninput \"\" f32\n", PTF_FORMAT,
     AT(2, 7) "expected the name"},
    {"ptfold graph 1\ninput %1 f32\n", PTF_FORMAT, AT(2, 7) "expected %0"},
    {"ptfold graph 1\ninput % f32\n", PTF_FORMAT, AT(2, 7) "expected a number"},
    {HEAD "y = relu(z)\n", PTF_FORMAT, AT(3, 10) "expected a value of a line"},
    {HEAD "y = relu(y)\n", PTF_FORMAT, AT(3, 10) "expected a value of a line"},
    {HEAD "y = relu(%0)\n", PTF_FORMAT, AT(3, 10) "expected a value of a line"},
    {HEAD "y = relu(x)\ny = relu(x)\n", PTF_FORMAT,
     AT(4, 1) "expected a name of its own, got a second 'y'"},
    {HEAD "const x f32 []\n", PTF_FORMAT,
     AT(3, 7) "expected a name of its own"},
    {HEAD "y = swish(x)\n", PTF_UNSUPPORTED,
     AT(3, 5) "expected an op that ptfold has, got 'swish'"},
    {HEAD "y = constant()\n", PTF_UNSUPPORTED, "got 'constant'"},
    {HEAD "y = input(x)\n", PTF_UNSUPPORTED, "got 'input'"},
    {HEAD "y = relu()\n", PTF_FORMAT,
     AT(3, 5) "expected as many operands as "
              "relu takes, got 0"},
    {HEAD "y = relu(x, x)\n", PTF_FORMAT, "got 2"},
    {HEAD "y = add(x)\n", PTF_FORMAT, "got 1"},
    {HEAD "y = concat() dim=1\n", PTF_FORMAT, "got 0"},
    {HEAD "y = add(x, none)\n", PTF_FORMAT,
     AT(3, 12) "expected a value, got none"},
    {HEAD "y = relu x\n", PTF_FORMAT, AT(3, 10) "expected '(', got 'x'"},
    {HEAD "y = relu(x x)\n", PTF_FORMAT, AT(3, 12) "expected ','"},
    {HEAD "y = relu(x,)\n", PTF_FORMAT, AT(3, 12) "expected a value of a line"},
    {HEAD "y = relu(x\n", PTF_FORMAT,
     AT(3, 11) "expected ',', got the end of "
               "the line"},
    {HEAD "y relu(x)\n", PTF_FORMAT, AT(3, 1) "expected net, input, const"},
    {HEAD "= relu(x)\n", PTF_FORMAT, AT(3, 1) "expected net, input, const"},
    {HEAD "\"input\" z f32\n", PTF_FORMAT,
     AT(3, 1) "expected net, input, const"},
    {HEAD "y = relu(x) inplace=maybe\n", PTF_UNSUPPORTED,
     AT(3, 13) "expected a value of inplace that ptfold supports, got 'maybe'"},
    {HEAD "y = relu(x) slope=1\n", PTF_UNSUPPORTED,
     AT(3, 13) "expected an attribute of relu, got 'slope'"},
    {HEAD "y = relu(x) inplace=True inplace=True\n", PTF_UNSUPPORTED,
     AT(3, 26) "expected inplace of relu once"},
    {HEAD "y = relu(x) inplace = True\n", PTF_FORMAT,
     AT(3, 22) "expected a value"},
    {HEAD "y = relu(x) inplace= True\n", PTF_FORMAT,
     AT(3, 21) "expected a value"},
    {HEAD "y = relu(x) inplace\n", PTF_FORMAT, AT(3, 20) "expected '='"},
    {HEAD "y = relu(x) =2\n", PTF_FORMAT, AT(3, 13) "expected an attribute"},
    {HEAD "y = softmax(x)\n", PTF_UNSUPPORTED,
     AT(3, 5) "expected dim= after softmax()"},
    {HEAD "y = max_pool2d(x) kernel_size=[2,2\n", PTF_FORMAT,
     AT(3, 31) "expected a value"},
    {HEAD "y = max_pool2d(x) kernel_size=[2]\n", PTF_UNSUPPORTED, "got '[2]'"},
    {HEAD "y = max_pool2d(x) kernel_size=[2,2] stride=[2,2] padding=[2,2] "
          "dilation=[1,1] ceil_mode=False\n",
     PTF_UNSUPPORTED, "max_pool2d with more padding than half the window"},
    {HEAD "y = conv2d(x)\n", PTF_UNSUPPORTED,
     AT(3, 5) "expected in_channels= after conv2d(), or parameters that tell"},
    {HEAD "y = conv2d(x, x)\n", PTF_FORMAT,
     AT(3, 15) "expected a const or none for the weight"},
    {HEAD "const w f32 [4,3]\ny = conv2d(x, w)\n", PTF_UNSUPPORTED,
     AT(4, 5) "expected in_channels="},
    {HEAD "const w f32 [4,3,1,1]\nconst b f32 [3]\ny = conv2d(x, w, b)\n",
     PTF_FORMAT,
     AT(5, 5) "conv2d with these attributes: expected a bias of "
              "[4], got [3]"},
    {HEAD "const w f32 [4,3,1,1]\ny = conv2d(x, w, none, w)\n", PTF_FORMAT,
     "expected a scale of [4], got [4, 3, 1, 1]"},
    {HEAD "const w f32 [4,3,1,1]\ny = conv2d(x, w) bias=True\n", PTF_FORMAT,
     "expected a bias of [4], got none"},
    {HEAD "const w f32 [4,3,1,1]\ny = conv2d(x, w) in_channels=2\n", PTF_FORMAT,
     "expected a weight of [4, 2, 1, 1]"},
    {HEAD "const w f32 [4,3,1,1]\ny = conv2d(x, w) groups=3\n", PTF_UNSUPPORTED,
     "conv2d with groups that do not divide"},
    {HEAD "const w f32 [4,1,1,1]\ny = conv2d(x, w, w, w, w, w)\n", PTF_FORMAT,
     "got 6"},
    {HEAD "const w f32 [4,3,1]\ny = conv1d(x, w)\noutput y\n", PTF_FORMAT,
     "g.txt: layer y (Conv1d): cannot take its input"},
    {HEAD "const w\n", PTF_FORMAT, AT(3, 8) "expected a dtype"},
    {HEAD "const w f33 []\n", PTF_FORMAT, AT(3, 9) "expected a dtype"},
    {HEAD "const w f32\n", PTF_FORMAT, AT(3, 12) "expected '['"},
    {HEAD "const w f32 [2147483648]\n", PTF_FORMAT,
     AT(3, 14) "expected a size"},
    {HEAD "const w f32 [-1]\n", PTF_FORMAT,
     AT(3, 14) "expected a name, got '-'"},
    {HEAD "const w f32 [2147483647,2147483647,2147483647]\n", PTF_UNSUPPORTED,
     AT(3, 7) "expected a tensor whose bytes"},
    {HEAD "const %1 f32 []\n", PTF_FORMAT, AT(3, 7) "expected a name"},
    {HEAD "\"a = relu(x)\n", PTF_FORMAT,
     AT(3, 13) "expected a name of at most"},
    {HEAD "\"a\\q\" = relu(x)\n", PTF_FORMAT, AT(3, 3) "expected a name of"},
    {HEAD "\"a\\x0\" = relu(x)\n", PTF_FORMAT, AT(3, 3) "expected a name of"},
    {HEAD "\"a\\x00\" = relu(x)\n", PTF_FORMAT, AT(3, 3) "expected a name of"},
    {HEAD "\"\xc3\xa9\x01\" = relu(x)\n", PTF_FORMAT,
     AT(3, 3) "expected a name of"},
    {HEAD "\"\xe2\x80\x8b\" = relu(x)\n", PTF_FORMAT,
     AT(3, 2) "expected a name of"},
    {HEAD "y-1 = relu(x)\n", PTF_FORMAT, AT(3, 2) "expected a name, got '-'"},
    {HEAD "y = relu(x); z = relu(y)\n", PTF_FORMAT,
     AT(3, 12) "expected a name, got ';'"},
    {HEAD "\x7f = relu(x)\n", PTF_FORMAT,
     AT(3, 1) "expected a name, got '\\x7f'"},
};

static void expect_refusal(const char *text, ptf_status want, const char *words)
{
    ptf_net *net;
    ptf_error err = {PTF_OK, ""};
    ptf_status status = ptf_net_make(text, "g.txt", NULL, NULL, &net, &err);
    if (status != want || err.status != want ||
        strstr(err.message, words) == NULL)
        fail_msg("expected status %d and '%s', got %d: %s", want, words, status,
                 err.message);
    assert_null(net);
    assert_int_equal(ptf_net_make(text, "g.txt", NULL, NULL, &net, NULL), want);
}

static void what_is_wrong_is_named_with_line_and_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(refusals); i++)
        expect_refusal(refusals[i].text, refusals[i].status, refusals[i].words);
}

/* HEAD, then 'line' with its number 'count' times. */
static char *repeated(const char *line, int count, const char *tail)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs(HEAD, out);
    for (int i = 0; i < count; i++) {
        for (const char *p = line; *p != '\0'; p++)
            if (*p == '@')
                fprintf(out, "%d", i);
            else
                fputc(*p, out);
    }
    fputs(tail, out);
    fclose(out);
    return text;
}

static void hostile_texts_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int count;
        const char *tail, *words;
        ptf_status status;
    } cases[] = {
        {"y@ = relu(x)\n", 39999, "output y0\n", "", PTF_OK},
        {"y@ = relu(x)\n", 40000, "output y0\n", "more than 40000 values",
         PTF_UNSUPPORTED},
        {"const c@ f32 []\n", 39999, "y = relu(x)\noutput y\n",
         "more than 40000 values", PTF_UNSUPPORTED},
        {"const c@ f32 []\n", 80001, "", "more than 80000 constants",
         PTF_UNSUPPORTED},
        {"%@ = relu(x)\n", 5000, "output %4999\n", "", PTF_OK},
        {"#", 1 << 22, "", "more than 4194304 bytes", PTF_FORMAT},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        char *text = repeated(cases[i].line, cases[i].count, cases[i].tail);
        if (cases[i].status == PTF_OK)
            ptf_net_free(fixture_net(text));
        else
            expect_refusal(text, cases[i].status, cases[i].words);
        free(text);
    }
}

static void operands_and_names_are_bounded(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs(HEAD, out);
    for (int i = 0; i < 17; i++) { /* 4096 at most for one, 65536 for all */
        fprintf(out, "y%d = concat(x", i);
        for (int k = 1; k < 4096; k++)
            fputs(",x", out);
        fputs(") dim=1\n", out);
    }
    fclose(out);
    expect_refusal(text, PTF_UNSUPPORTED, "more than 65536 operands");
    free(text);

    out = open_memstream(&text, &size);
    fputs(HEAD "y = concat(x", out);
    for (int k = 0; k < 4096; k++)
        fputs(",x", out);
    fputs(") dim=1\noutput y\n", out);
    fclose(out);
    expect_refusal(text, PTF_FORMAT, "concat takes, got 4097");
    free(text);

    for (int quoted = 0; quoted < 2; quoted++) {
        out = open_memstream(&text, &size);
        fprintf(out, HEAD "%s%01100d%s = relu(x)\n", quoted ? "\"" : "", 0,
                quoted ? "\"" : "");
        fclose(out);
        expect_refusal(text, PTF_FORMAT, "a name of at most 1024 bytes");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named_with_line_and_column),
        cmocka_unit_test(hostile_texts_are_bounded),
        cmocka_unit_test(operands_and_names_are_bounded),
    };
    return cmocka_run_group_tests_name("graph_refusals", tests, NULL, NULL);
}
