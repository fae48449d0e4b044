"""What people say about travel, homes, money, media, health, texts and numbers; written as `hints.py` tells."""

from typing import Final

EVERYDAY: Final = """
fly flying flights airline nonstop airports no_stops non_stop direct_flight economy business_class by_air in_the_air
  > flight airport
buy_ticket take_that_flight take_the_first that_offer take_offer > book flight ticket
on_time land lands landed landing which_gate delayed departing_gate plane > flight delay gate
boarding_pass window_seat aisle_seat check_me_in seat_near seat_in_row > check flight seat passenger boarding
hotel hostel bnb sleep_in place_to_stay stay_in somewhere_to_sleep overnight nights accommodation > hotel stay night
book_it take_the_room two_of_us book_room for_two_nights > book hotel reserve guest
trip_off can't_travel not_travelling cancel_trip cancel_hotel reservation trip > cancel booking reservation travel
train railway rail ice tgv intercity by_rail > train railway connection
platform next_train leaves_station station > train station departure platform
rental hire_car hire_a_car need_a_car pick_up_car car_for rent_a_car > car rental rent
cab taxi uber lyft ride get_me_home picked_up driven pick_me fetch_me bring_me collect_me drive_me drop_me > taxi
  ride
passport paperwork let_me_in immigration enter_country embassy nationality entry_permit citizen > visa country
  citizen nationality
safe_travel dangerous safe_to is_it_safe unrest warned_against > travel safety warning country
dollar dollars euros yen pounds francs krona zloty in_euros in_dollars worth_in exchange forex > currency exchange
  rate
how_say in_french in_german in_spanish in_italian in_english mean_in say_in word_for > translate language text
norwegian danish swedish finnish dutch polish portuguese czech hungarian icelandic turkish greek arabic hindi
  russian ukrainian korean chinese japanese french italian spanish german > language translate
which_language what_language language_is > detect language
jacket coat umbrella shorts sunscreen freezing sweating muggy > weather temperature
weekend tomorrow's_weather picnic barbecue bbq hike beach wear next_days this_weekend next_weekend will_it_rain
  will_it_snow will_it_be take_umbrella pack_clothes what_to_pack > weather forecast
dry wet rain_start stop_raining start_raining pouring drizzle shower downpour get_wet hang_out_washing > rain
  weather
allergy allergic hay_fever asthma breathe smog birch ozone jog_outside run_outside sneeze sneezing itchy_eyes
  particulates air > air quality pollen
sunset golden_hour get_dark gets_dark get_light dawn dusk sundown daylight > sun sunset sunrise
storm hail gale flood flooding hurricane tornado lightning severe gusts > storm warning weather
get_to walk_to way_to best_way by_bike by_car on_foot avoid_motorway without_highway turn_by_turn navigate
  navigation cycling_route walking directions > route direction way
rush_hour traffic jam how_long_drive long_to_drive leave_by take_me_to > travel time traffic duration
coordinate coordinates lat_long latitude longitude gps pin_for on_the_map > coordinate latitude longitude address
  geocode
around_here near_me nearest closest next_pharmacy open_now atm cash_machine parking petrol hospital > nearby place
how_high altitude above_sea summit steep > elevation height sea
lights lamp lamps bulb left_on light_off light_on dark pitch_dark nightlight desk_lamp hallway lit left_lit > light
  lamp room
darker brighter dim cosy cozy movie_night warm_light too_bright > dim brightness light
cold freezing chilly warmer too_hot too_warm heating heat_up turn_up_heat degrees > heating thermostat temperature
  room degree
shutter shutters curtains curtain blinding sun's_in glare shade window blind sunlight_in neighbours_see privacy
  morning_sun let_light_in > blind shutter raise lower
lock locked unlock forgot_to_lock front_door let_plumber key keys > door lock
ring_bell doorbell rang_bell who's_at at_the_door at_my_door delivery_man knock knocks knocking there's_a_knock >
  door camera entrance
burglar burglary leaving_the_house going_on_holiday arm disarm intrusion secure_house secure_the_house all_out
  everybody_out nobody_home leaving_home house_safe > alarm arm burglar
dust crumbs hoover vacuum floor floors dog_hair mop > vacuum clean robot
back_to_dock go_home_robot stop_cleaning annoying_robot go_charge > vacuum dock station
kilowatt kwh electricity power_bill how_much_power draws consume standby_power dryer fridge freezer > energy
  electricity consumption device
photovoltaic pv panels roof sun_give solar > solar roof panel produce
plug_in charge_car charge_the_car tesla wallbox electric_car full_by_morning ev empty_battery_car car_battery
  drive_far_tomorrow range > charge car
laundry washer washing spin_cycle clothes_done load_done > washing machine program
lawn grass garden flower flowers roses tomatoes dry_plants water_the thirsty_plants flowerbed beds hedge > water
  garden sprinkler
heard_something heard_noise noise_outside somebody_in anybody_in anyone_in was_anybody was_somebody sneaking
  moved_around footsteps intruder cellar > motion sensor somebody
share shares stock stocks nasdaq ticker trading_at dax > share stock price
last_week_stock closing_price performed past_months chart_stock over_the_year > stock history daily closing
balance_sheet profit earnings turnover income_statement cashflow debt assets annual_report > financial company
  income balance
bitcoin btc ethereum eth doge solana coin coins > crypto price cryptocurrency
depot my_stocks my_shares investments my_investments how_rich plus_or_minus > portfolio worth depot gain
invest order_shares get_shares not_above limit_order get_me_shares at_market > stock order share buy sell
how_much_money have_on_account broke afford on_my_account checking overdraft savings_account > account balance bank
debits withdrawals came_off went_off statement_bank charged_me paid_to transactions salary_arrived direct_debit
  paid_at bought_at spent_at did_my_salary rent_go_out booked_off charged_by rewe lidl aldi amazon_pay
  supermarket_bill paid_for taken_the_money money_taken landlord_taken > transaction bank account
send_money wire pay_to pay_him pay_her iban owe_him owe_her pay_back_friend split_the_bill pay_my_share settle_debt
  i_owe > transfer money bank
every_month monthly_to rent_to on_the_1st each_month_to regularly rent_automatically subscription_to_pay
  pocket_money alimony on_the_first always_on > standing order regular transfer
loan borrow borrowing repay instalment instalments credit_over pay_monthly rate_loan > loan instalment calculator
put_aside save_up saving_for each_month_save set_aside by_then > savings month reach
lost_wallet lost_my_card stole wallet stolen pickpocket pickpocketed card_gone > block card stolen lost bank
where_money_go where_did_money most_money spend_most spent_on groceries_month eat_out_cost > spending month money
put_on some_music play_some feel_like_listening listen hear > play music track artist
phone's_ringing be_quiet stop_music stop_the_music hold_music silence_please > pause playing playback music
too_loud too_quiet louder quieter turn_it_down turn_it_up neighbours neighbors can't_hear half_as_loud > volume
  speaker loud quiet
skip not_this_song hate_this_song next_one something_else > next track skip song
mixtape songs_for party_music compilation gym_songs songs_to > playlist song
sing_along karaoke goes_like lines_of_song words_of second_verse chorus how_continues lyrics_of > lyrics song word
what_song which_song what's_playing shazam humming hum name_of_song this_tune > recognize song recording
podcast new_episode newest_episode listen_to_show talk_show interview_show > podcast episode
film starring villain actor actress plays_the who_directed directed plot_of ending_of who_plays in_the_movie oscar >
  movie cast film plot
cinema theater theatre showing screening movies_tonight pictures > cinema film shown
tv telly on_tonight channel_show broadcast_tonight watch_tonight bbc zdf ard > television tv channel
good_read next_read books_like read_next something_to_read liked_the_book novel_like > book recommend similar
news in_the_news headline going_on_in what_happened_today world_today latest_on what's_new_in press_coverage
  politics elections world_cup > news headline topic
watercolour watercolor painting drawing sketch illustration cartoon logo_for draw_me picture_of_a draw paint icon_of
  portrait poster design_a design_me create_a_picture dragon unicorn > image picture draw generate
pixels px wide smaller_image thumbnail too_large_picture aspect banner_size > image resize width height picture
cut_out transparent without_background white_background background > image remove background photo
png jpg jpeg heic gif webp photo > image photo picture file
mp4 mov avi webm mkv clip footage > video recording file
mp3 wav m4a voice_memo voice_message dictation interview_recording > audio recording speech
written_out subtitles transcript minutes_of_recording type_out in_writing put_into_writing > transcribe speech text
  recording
first_seconds cut_out_from clip_from only_from seconds_of_video > video trim clip cut
read_to_me out_loud pronounce narrate hear_it aloud > speak read aloud voice
had_for_breakfast just_ate ate had_a_sandwich ate_for bowl sandwich muesli porridge > meal eaten log food
kcal calories sugar_in how_healthy fattening protein carbs vitamins > nutrition calorie food protein
ran jogged cycled swam lifted gym rode rowed hiked yoga pilates > workout training sport log
walked how_far_walked walk_enough moved_enough pedometer on_foot_move move_on_foot > step walked
slept rested woke_up wake_at_night deep_sleep insomnia rem > sleep night report
pulse resting bpm heartbeat > heart rate pulse
scales weigh weighed weighing kilos lost_weight gained > weight body log
pills pill take_my_tablets tablets twice_a_day every_morning_take medicine remember_pills dose blood_pressure
  vitamin insulin antibiotic inhaler drops capsule > medication drug reminder
mix_with together_with while_on while_i'm_on take_with ok_to_take on_antibiotics aspirin ibuprofen paracetamol
  ramipril warfarin statin alcohol_with > drug interaction medicine together
dermatologist cardiologist pediatrician paediatrician gynecologist orthopedist therapist eye_doctor gp dentist
  specialist rash clinic ophthalmologist physio > doctor specialty near
see_doctor check-up checkup back_hurts hurts fever sore_throat toothache doctor's_appointment sick_visit
  appointment_with_dr consultation blood_test vaccination flu_shot jab > doctor appointment
cook_with dinner_ideas recipe dish bake_a left_in_fridge ingredients vegetarian vegan lasagne curry ideas_for_dinner
  ideas_for aubergine eggplant zucchini mushrooms spinach leek pumpkin tofu > recipe dish ingredient
out_of_milk milk bread butter need_to_buy groceries bottles buy_on_way pick_up_store toilet_paper need_milk >
  shopping list put
week's_meals dinners what_to_eat cook_this_week plan_dinners for_the_week family_of > meal plan dish week
takeaway takeout too_tired hungry delivered_home pizzas pizza margherita sushi burger deliver_food order_in
  to_my_place > food order meal restaurant delivery
table_for dinner_at dine restaurant_for eat_at trattoria bistro anniversary_dinner romantic_dinner book_a_table
  party_of > table restaurant reserve
percent_of divided times plus minus sum_of multiply square_root tip split_bill total_of makes_per add_up squared
  split_by share_between divide_by plus_tip each_pay > calculate arithmetic expression
mile miles inches feet fahrenheit celsius pounds_in_kilos ounces gallons cups litres acres yards stone knots >
  convert unit length volume mass temperature
how_many_days weeks_until days_until days_left_until working_days how_long_until sleeps_until time_between
  days_since weeks_between > day date between
weeks_from days_from days_after days_later weeks_after what_date deadline_if months_later plus_days > date day later
  add
pacific eastern central pst est cet gmt utc berlin_time our_time their_time in_my_time am_there > time zone convert
dice coin_flip heads_or_tails flip_coin pick_a_number lottery raffle draw_lots toss > random number roll
strong_password passphrase new_password_characters something_unguessable > password random generate
sha256 md5 sha1 checksum fingerprint > hash checksum text
b64 base64 encoded decoded gibberish > base64 encode decode
pretty indent unreadable_json prettify valid_json messy_json curly machine_readable unreadable api_response brackets
  > json format check
regex regexp pattern_match match_pattern capture_group > regular expression test
characters word_count too_long_tweet limit_of_words > count word character text
typos typo spelling spelled misspelt proofread mistakes_in orthography correct_my_english mistakes grammar > spell
  check misspelled
too_long_read short_version three_sentences tl_dr key_points in_brief essence > summarize shorten sentence text
what_does_mean meaning_of define definition where_word_comes > dictionary meaning word origin
other_word another_word different_word fancier_word less_boring instead_of_word say_differently > synonym word same
qr scan_code > qr code link
uuid guid unique_id unique_identifier ids character_ids id_generator > uuid fresh
google_it look_online find_online internet search_for on_the_web anything_online look_it_up find_out_about
  anything_about anybody_written > web search
says_on website page_says read_site article_at open_link > web page text fetch
who_was who_invented history_of tell_me_about wikipedia born_where explain_what > encyclopedia article person thing
average median mean_of standard_deviation spread outliers quantile percentile_of_numbers > statistic mean median
  number
parabola sine curve plot how_does_look curve_of > plot graph formula function
exam quiz ask_me test_me practise practice revise revision vocabulary_test questions > quiz question topic learn
library borrow lend_book available_library on_the_shelf > library book public shelf
due_back keep_longer renew_book not_finished_reading overdue_book extend > library loan extend borrowed
molecule boils boiling_point melting_point compound acid formula_of density molar > chemical substance formula mass
  boiling
chromosome gene protein_function mutation brca dna genome cancer_gene tp53 responsible_for_gene brca1 egfr > gene
  function
jupiter mars saturn venus visible_tonight night_sky constellation telescope in_the_sky > planet sky position
cheapest_way fly_to fly_from fly_out flight_to flight_from return_flight one-way round_trip red-eye > flight search
lufthansa ryanair easyjet klm delta united emirates > flight airline
check_me check_in online_check-in > check flight passenger
double_room single_room stars_hotel breakfast_included suite b_b > hotel room night
late_checkout cancel_room won't_need_room won't_make_it after_all not_going not_going_after plans_changed
  staying_home don't_need_the don't_need_room don't_need_hotel no_longer_travel forget_about flu_both > cancel
  booking reservation
tomorrow_by_train catch_train sleeper commuter > train connection
tram bus subway metro underground public_transport > transit route departure
convertible suv minivan hatchback car_in > rent car rental
esta schengen work_permit residence entry_requirements papers > visa need citizen country
coup protest terror earthquake malaria kidnapping unsafe > travel advisory safety warning
convert_money sterling rupees pesos yuan swiss_franc exchange_money > currency rate exchange
goodbye thank_you_in please_in phrase idiom would_say > translate language
foreign written_in tongue which_country_language > language detect
how_warm_outside how_cold_outside weather_like sky windy_outside nice_out > weather temperature current
rain_soon getting_wet bring_in_washing before_it_rains > rain radar
photograph_sunset first_light last_light headlights > sunset sunrise sun
batten tie_down garden_furniture weather_alert > storm warning
be_there_by leave_now motorway commute > travel time traffic
hungry_near somewhere_to_eat starving coffee_near ev_charger charging_station > nearby restaurant charger place
mountain hill metres_high pass_height > elevation height
reading_light candle romantic percent_light warm_white colour_of_light > dim brightness colour light
shivering sweltering boiling_in_here stuffy toasty how_warm set_to_degrees radiator radiators > thermostat
  temperature room heating
is_it_locked locked_up did_i_lock let_him_in let_her_in > door lock unlock
postman parcel_man at_the_gate who_rang somebody_rang bell > door camera picture
leaving_house everyone_out going_to_bed home_again back_home security_off security_on we're_home i'm_home > alarm
  arm disarm
messy_floor spilled crumbs_under sweep dirty fur hair hairs pet paw_prints mud crumbs mess rug rugs carpet > vacuum
  clean
tumble_dryer dishwasher oven heater washing_up using_power eats_electricity > energy electricity device
sunny_day_yield kilowatts inverter > solar produce panel
spin rinse wash_done dirty_clothes > washing machine
dry_soil drought seedlings vegetables_thirsty raised_bed > water garden
strange_noise creaking someone_walking hallway_night > motion sensor moved
company_worth market_cap tesla apple nvidia siemens amazon > stock share price symbol
month_ago_price over_last_months how_did_shares went_down went_up crashed dropped_since > stock history price daily
earn_last_year how_profitable in_debt quarterly_results > financial income balance
altcoin hodl satoshi litecoin blockchain > crypto coin price
holdings positions my_etf etf my_funds > portfolio depot position
can_i_afford money_left enough_money rich how_much_left have_enough enough_for_rent is_there_enough can_i_pay >
  account balance
car_loan student_loan house_on_credit interest_per_month pay_back_monthly at_percent > loan instalment month
dream_holiday nest_egg save_for down_payment > savings reach month
card_missing left_card_in fraud fraudulent > block card stolen lost
budget overspent too_much_money shell_out spend_for > spending month category
tune_on dance party background_music jazz rock classical techno > play music
hush shush baby's_asleep baby_sleeping phone_call_stop > pause playback volume
bass decibel whisper_level blast blasting > volume loud quiet
boring_song next_please other_song > next track skip
refrain stanza sing > lyrics song
on_the_radio > recognize song
who_directed cast_of rating_of_film blockbuster sequel > movie film
see_film watch_film in_cinemas imax matinee can_we_see see_tonight want_to_see running_tonight where's_the_new >
  cinema film showtime
series game_on tonight_on > tv television program
if_i_liked loved_the_book similar_author something_like > recommend book
artwork render photorealistic wallpaper avatar dragon castle > image picture draw
shrink_picture make_picture_smaller by_pixels profile_picture fit_into > image resize picture
isolate_object product_photo plain_background > background image
type_up write_out lecture recorded > transcribe recording text
shorten_video cut_the_video intro_of_video last_seconds from_minute > video trim cut clip
read_this_to read_it_to voice_over while_i_cook hands_full > speak aloud text
for_breakfast for_lunch_i had_for_lunch had_for_dinner snack snacked banana apple_and yoghurt > log meal eaten
how_many_calories is_it_healthy sugar fibre fiber carbs_in avocado pizza_calories > nutrition calorie food
marathon 5k 10k bike_ride push-ups pushups tennis football swimming rowing climbing km_in > workout training log
  sport
steps enough_steps moved_today active_today > step day
bad_night tired_today bedtime didn't_sleep toss_and_turn so_tired why_tired fall_asleep fell_asleep > sleep night
beats per_minute_heart racing_heart > heart rate
on_the_scale bathroom_scale weight_today > weight log body
side_effects combine_with allowed_together safe_together grapefruit paracetamol_and > drug interaction
skin ears knee knees eyes stomach children's_doctor surgeon allergist neurologist urologist ent itch itches itching
  sprained hurts_who cough dizzy headache migraine treats who_treats specialist_for moles mole > doctor specialty
leftovers bake cake soup pasta_recipe without_meat gluten_free > recipe dish diet ingredient
no_more_milk fridge_is_empty eggs_needed cheese rice coffee sugar detergent shampoo > shopping list
eat_healthy_week lunches > meal plan dish
craving indian_food thai chinese_food kebab fries bring_me_food > food order restaurant delivery
percent percentage_of divided_by multiplied minus_percent > calculate arithmetic
mph kmh km_h lbs kg_in pint pints teaspoon tablespoon ml litre acre hectare in_metric in_feet in_inches > convert
  unit
until_christmas until_easter working_days_between nights_until counting_down > days between date
from_today from_now after_today notice_period_end warranty_end > date add later
9am_in 5pm_in new_york_time london_time tokyo_time > time zone convert world
who_goes_first who_pays coin random > random number
hard_to_guess secure_password > password generate
integrity same_file_hash > hash checksum
does_it_match matches_this wildcard > regular expression pattern
how_many_words how_many_characters how_many_letters essay_length > count word
cut_it_down shorter too_much_text short_of_it > summarize shorten text
jargon slang keep_hearing > dictionary meaning word
sounds_too_repetitive replace_word elegant_word say_instead nicer_way way_to_say > synonym word
scan_with_phone poster_code flyer something_to_scan > qr code
summary_of_site changelog blog_post article_says at_this_address > web page text
philosopher inventor emperor battle_of biography famous capital_of who_were what_were empire dynasty > encyclopedia
  article
spread_of_values middle_value these_numbers values > statistic mean number
draw_function axis > plot graph formula
drill flashcards prepare_for_exam test_my_knowledge > quiz question learn topic
bookshelf branch_library on_loan in_the_library > library book
element periodic solvent toxic reagent caffeine ethanol acetone > chemical substance formula
lh ba af seat_if row > flight seat
if_i_leave leave_at am_i_in when_am_i be_there > travel time trip duration
make_money made_money did_make profitable losses figures fiscal > financial income company statement
do_banks banks_want years_fixed fixed > interest mortgage loan bank
not_that_one not_that_again don't_like_this other_one_please > next skip song
anything_new_from new_from episodes_of series_of > podcast episode latest
i_loved loved_it liked what_next read_after > recommend similar book
wide_by logo banner favicon > image resize width height
nobody_can_guess nobody_guess unguessable guessable characters_long > password generate random
what_else_could repeat_word repetitive > synonym word same meaning
more_weeks keep_it_longer weeks_more two_more_weeks haven't_finished halfway_through only_halfway due_tomorrow_book
  > renew loan extend borrowed
still_night night_in day_in is_it_night morning_in awake > world clock local time city
room_in_the room_at_the hotel_room > hotel book room
just_travel travel_without allowed_to_enter as_a_german as_an_american > visa country need
soaked without_getting_wet cycle_home stay_dry > rain radar weather
almost_empty nearly_empty battery_low > charger charging battery
indebted owes_banks wealthy_company solvency > financial balance company
up_or_down overall_gain overall_loss > portfolio gain position depot
waste_on wasted_on blow_on blew_on how_much_on on_restaurants on_groceries on_clothes > spending month category
  money
quiet_for shut_it quiet_please > pause playback playing
fresh new_one_of latest_of newest > latest episode
is_it_good any_good worth_watching worth_seeing > movie film rating
anything_to_watch watching_now what_to_watch > tv television channel film
when_is_that here_when that_here what_time_here > convert time zone
asleep awake still_up > world clock time
length_of_text > count word character
look_up find_reviews reviews_of > search web online
swimming_pool sauna hot_tub > energy device
kids_forgot forgot_to_turn left_the_on still_on > light switch turn off
without_a_break non-stop > uptime
test_my test_me_on > quiz question learn
two_seats take_the_one one_seat > book flight passenger
leaves_for > train departure connection
far_in_minutes > travel time
rid_of_shares dump_shares unload_shares > stock order sell share
left_my_account everything_left > transaction account bank
over_years cost_me_monthly > loan month instalment
in_mood_for something_by > play music artist
surroundings > remove background image
how_many_nights nights_from nights_between > days date between
window_place > check flight seat passenger
with_a_pool pool spa sauna_hotel balcony_room > hotel stay city
wheels > car rent rental vehicle
sailing boat sailing_boat heavy_expected tent camping > storm warning weather wind
bumping bumps_into little_robot > robot vacuum dock
fill_battery battery_overnight overnight_charge drive_km > charge car charging
put_out > episode publish latest
let_me_hear > aloud speak read text
biked > training workout sport
ticker beating > heart pulse
tweet_too_long post_too_long > count character word text
scatter how_much_scatter variance > statistic deviation number
"""
